import type { Lease, Run } from '@renum/devstudio-api-client';
import { afterEach, expect, test, vi } from 'vitest';

import { Changes } from '../src/model/changes';
import { concerns } from '../src/model/leases';
import { RunModel } from '../src/model/run';
import { RunsModel, wordsOf } from '../src/model/runs';
import { json, MemoryServer, problem } from './support/server';

const AT = '2026-11-22T20:00:00Z';

function run(change: Partial<Run> = {}): Run {
  return {
    id: 'run-1',
    project_id: 'project-1',
    patch_id: null,
    task_id: null,
    type: 'test',
    recipe: 'pytest',
    argv: ['python', '-m', 'pytest'],
    command: null,
    status: 'success',
    reason: null,
    exit_code: 0,
    container_id: null,
    isolation: 'container',
    branch: null,
    commit: null,
    ref: 'main',
    tree: null,
    rerun_of: null,
    base_run_id: null,
    attempt: 1,
    started_at: AT,
    finished_at: AT,
    deadline_at: null,
    logs_url: null,
    metrics_json: null,
    tests: [],
    failures: [],
    coverage: null,
    artifacts: [],
    created_by: 'ana',
    created_at: AT,
    version: 1,
    source_module: 'execution',
    ...change
  };
}

afterEach(() => {
  vi.useRealTimers();
});

test('the list is read anew when a run changes, and tells which are active', async () => {
  const changes = new Changes();
  let answers = [[run({ status: 'running' })], [run({ id: 'run-2', status: 'pending' }), run()]];
  const server = new MemoryServer().on('GET exec', request => {
    expect(new URL(request.url).searchParams.get('project_id')).toBe('project-1');
    const [first = [], ...rest] = answers;
    answers = rest;
    return json({ items: first, next_cursor: null });
  });
  const model = new RunsModel('project-1', server.client, changes);
  await model.refresh();
  expect(model.active.map(({ id }) => id)).toEqual(['run-1']);
  changes.emit({ kind: 'run', runId: 'run-2' });
  await vi.waitFor(() => {
    expect(model.active.map(({ id }) => id)).toEqual(['run-2']);
  });
  model.dispose();
});

test('older runs are added once, whatever came in between', async () => {
  const server = new MemoryServer().on('GET exec', request =>
    new URL(request.url).searchParams.get('cursor') === 'more'
      ? json({ items: [run({ id: 'run-2' }), run({ id: 'run-3' })], next_cursor: null })
      : json({ items: [run(), run({ id: 'run-2' })], next_cursor: 'more' })
  );
  const model = new RunsModel('project-1', server.client, new Changes());
  await model.refresh();
  expect(model.hasMore).toBe(true);
  await model.loadMore();
  expect(model.runs.map(({ id }) => id)).toEqual(['run-1', 'run-2', 'run-3']);
  expect(model.hasMore).toBe(false);
});

test('tests and a build are started by their own operations; a refusal is told', async () => {
  const server = new MemoryServer()
    .on('POST exec/test', async request => {
      expect(await request.json()).toEqual({ project_id: 'project-1' });
      return json(run({ id: 'run-9', status: 'pending' }), 202);
    })
    .on('POST exec/build', () => problem(422, 'No recipe', 'Nothing says how to build this project.'));
  const model = new RunsModel('project-1', server.client, new Changes());
  expect(await model.start('test')).toBe('run-9');
  expect(await model.start('build')).toBeNull();
  expect(model.actionError?.detail).toBe('Nothing says how to build this project.');
  expect(model.starting).toBe(false);
});

test('a run is done once more, and a refused one says why', async () => {
  const server = new MemoryServer().on('POST exec/run-1/rerun', () => json(run({ id: 'run-2', status: 'pending' }), 202));
  const model = new RunModel('run-1', server.client, new Changes());
  expect(await model.rerun()).toBe('run-2');
  server.on('POST exec/run-1/rerun', () => problem(429, 'Too many runs', 'Wait for one to end.'));
  expect(await model.rerun()).toBeNull();
  expect(model.actionError?.title).toBe('Too many runs');
});

test('files are fetched as they are', async () => {
  const server = new MemoryServer()
    .on('GET exec/run-1/artifacts/dist%2Fa.txt', () => new Response('bytes'))
    .on('GET exec/run-1/logs/download', () => problem(404, 'Not found', 'There is no such run.'));
  const model = new RunModel('run-1', server.client, new Changes());
  expect(await (await model.download('dist/a.txt'))?.text()).toBe('bytes');
  expect(await model.download(null)).toBeNull();
  expect(model.actionError?.detail).toBe('There is no such run.');
});

test.each([
  ['python -m pytest -k "two words"', ['python', '-m', 'pytest', '-k', 'two words']],
  ["  echo  'a \"b\"' c\\ d \"\" ", ['echo', 'a "b"', 'c d', '']],
  ['say "a \\" b" \'\\n\'', ['say', 'a " b', '\\n']],
  ['$HOME; rm *', ['$HOME;', 'rm', '*']],
  ['open "quote', null],
  ['', []]
])('a command line is taken apart: %s', (line, words) => {
  expect(wordsOf(line)).toEqual(words);
});

function lease(change: Partial<Lease>): Lease {
  return {
    project_id: 'project-1',
    task_id: null,
    run_id: null,
    status: 'approved',
    approved_at: AT,
    expires_at: '2026-11-22T21:00:00Z',
    ...change
  } as Lease;
}

test.each([
  [{}, true],
  [{ task_id: 'task-2' }, false],
  [{ task_id: 'task-1' }, true],
  [{ run_id: 'run-2' }, false],
  [{ expires_at: '2026-11-22T19:00:00Z' }, false],
  [{ status: 'requested', approved_at: null, expires_at: null }, true],
  [{ status: 'denied', approved_at: null, expires_at: null }, false],
  [{ status: 'revoked' }, true]
] as [Partial<Lease>, boolean][])('which leases concern a run: %j', (change, expected) => {
  expect(concerns(lease(change), run({ task_id: 'task-1' }))).toBe(expected);
});

import type { FixRound, GenerateResult, Lint } from '@renum/devstudio-api-client';
import { beforeEach, expect, test } from 'vitest';

import { Changes } from '../src/model/changes';
import type { DraftStorage } from '../src/model/drafts';
import { SessionModel } from '../src/model/session';
import { event, events, json, MemoryServer, problem, session, SESSION_ID, task, TASK_ID } from './support/server';

const PUT = `PUT spec-sessions/${SESSION_ID}`;
const GET = `GET spec-sessions/${SESSION_ID}`;

class MemoryStorage implements DraftStorage {
  readonly items = new Map<string, string>();

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }
}

const LINT: Lint = {
  warnings: [
    { document: 'requirements', line: 2, code: 'vague', message: 'Say how fast.' },
    { document: 'tasks', line: 1, code: 'no-criteria', message: 'It names none.' }
  ],
  coverage: {
    criteria: 2,
    tasks: 1,
    criteria_without_task: ['1.2'],
    tasks_without_criterion: [],
    unknown_criteria: {},
    criteria_without_evidence: []
  }
};

let server: MemoryServer;
let storage: MemoryStorage;
let changes: Changes;

beforeEach(() => {
  changes = new Changes();
  storage = new MemoryStorage();
  server = new MemoryServer()
    .on(GET, () => json(session(3, { requirements: 'old' })))
    .on(`${GET}/tasks`, () => json({ items: [task()], criteria: [] }))
    .on(`${GET}/lint`, () => json(LINT))
    .on(`${GET}/proposals`, () => json({ items: [], next_cursor: null }))
    .on(`GET projects/${session(1).project_id}`, () => json({ id: session(1).project_id, name: 'A project' }))
    .on('GET code/patches', () => json({ items: [], next_cursor: null }));
});

async function open(): Promise<SessionModel> {
  const model = new SessionModel(SESSION_ID, server.client, changes, storage);
  await model.refresh();
  expect(model.error).toBeNull();
  return model;
}

test('what was typed outlives the page, until it is saved', async () => {
  (await open()).edit('requirements', 'typed');
  const model = await open();
  expect(model.textOf('requirements')).toBe('typed');
  server
    .on(PUT, () => json(session(4, { requirements: 'typed <!-- id:a -->' })))
    .on(GET, () => json(session(4, { requirements: 'typed <!-- id:a -->' })));
  expect(await model.save('requirements')).toBe(true);
  expect(model.textOf('requirements')).toBe('typed <!-- id:a -->');
  expect(storage.items.size).toBe(0);
});

test('typing back to the saved text leaves nothing to save', async () => {
  const model = await open();
  model.edit('requirements', 'typed');
  model.edit('requirements', 'old');
  expect(model.draftOf('requirements')).toBeNull();
});

test('a refusal keeps what was typed', async () => {
  server.on(PUT, () => problem(422, 'Invalid input', 'too long'));
  const model = await open();
  model.edit('requirements', 'typed');
  expect(await model.save('requirements')).toBe(false);
  expect(model.saveErrors.get('requirements')?.detail).toBe('too long');
  expect(model.textOf('requirements')).toBe('typed');
});

test('a change of another document only moves the save to the new version', async () => {
  const model = await open();
  model.edit('requirements', 'typed');
  server
    .on(GET, () => json(session(5, { requirements: 'old', design: 'theirs' })))
    .on(PUT, request =>
      request.headers.get('If-Match') === '"5"'
        ? json(session(6, { requirements: 'typed', design: 'theirs' }))
        : problem(412, 'Changed by someone else', 'now 5')
    );
  expect(await model.save('requirements')).toBe(true);
  expect(server.count(PUT)).toBe(2);
});

test('a change of the same document shows both texts and waits for a choice', async () => {
  const model = await open();
  model.edit('requirements', 'mine');
  server
    .on(GET, () => json(session(5, { requirements: 'theirs' })))
    .on(PUT, () => problem(412, 'Changed by someone else', 'now 5'));
  expect(await model.save('requirements')).toBe(false);
  expect(model.inConflict('requirements')).toBe(true);
  expect(model.textOf('requirements')).toBe('mine');

  model.edit('requirements', 'mine, longer');
  expect(await model.save('requirements')).toBe(false);
  expect(server.count(PUT)).toBe(1);

  server.on(PUT, request => {
    expect(request.headers.get('If-Match')).toBe('"5"');
    return json(session(6, { requirements: 'mine, longer' }));
  });
  server.on(GET, () => json(session(6, { requirements: 'mine, longer' })));
  await model.overwriteWithMine('requirements');
  expect([model.inConflict('requirements'), model.textOf('requirements')]).toEqual([false, 'mine, longer']);
});

test('their text can be taken instead', async () => {
  const model = await open();
  model.edit('requirements', 'mine');
  server.on(GET, () => json(session(5, { requirements: 'theirs' })));
  await model.refresh();
  model.takeTheirs('requirements');
  expect([model.textOf('requirements'), storage.items.size]).toEqual(['theirs', 0]);
});

test('what is typed while a save is under way stays a draft on the new version', async () => {
  const model = await open();
  model.edit('requirements', 'first');
  server.on(PUT, () => {
    model.edit('requirements', 'first and more');
    return json(session(4, { requirements: 'first' }));
  });
  server.on(GET, () => json(session(4, { requirements: 'first' })));
  await model.save('requirements');
  expect(model.draftOf('requirements')).toEqual({ text: 'first and more', base: 'first', version: 4 });
});

test('planning saves first, and does not plan on a text that could not be saved', async () => {
  const model = await open();
  model.edit('requirements', 'typed');
  server.on(PUT, () => problem(503, 'Temporarily unavailable', 'busy'));
  expect(await model.plan('all', '', '')).toBe(false);
  expect(server.count('POST plan')).toBe(0);

  const usage = { model: 'offline', provider: 'offline' };
  server
    .on(PUT, () => json(session(4, { requirements: 'typed' })))
    .on(GET, () => json(session(4, { requirements: 'typed' })))
    .on('POST plan', () => events([event('progress', { message: 'Reading' }), event('result', { usage, warnings: [{ message: 'Upstream is a draft.' }], proposal: null })]));
  expect(await model.plan('tasks', ' go ', 'offline')).toBe(true);
  expect([model.usage?.model, model.shown, model.planning.running]).toEqual(['offline', 'tasks', false]);
  expect(model.notes).toEqual(['Upstream is a draft.']);
  expect(await server.requests.find(({ url }) => url.endsWith('/plan'))?.json()).toMatchObject({ mode: 'propose', prompt: 'go' });
});

test('a failed generation shows at its task, and a second one is not started beside the first', async () => {
  const model = await open();
  server.on('POST code/generate', () => events([event('error', { title: 'Bad answer', status: 502, detail: 'cut' })]));
  const [first, second] = await Promise.all([model.generate(TASK_ID, '', ''), model.generate(TASK_ID, '', '')]);
  expect([first, second]).toEqual([null, null]);
  expect(server.count('POST code/generate')).toBe(1);
  expect(model.generationOf(TASK_ID).work.error?.detail).toBe('cut');
});

const ROUND = { round: 1, run_id: 'r', status: 'failed', passed: 1, failed: 1, failures: [{ name: 't', file: 'a.py', line: 3 }] };

test('the rounds of a generation show while it runs, stay after an error, and are those of the result in the end', async () => {
  const model = await open();
  const tested = event('progress', { phase: 'tested', message: '1 failed', ...ROUND });
  server.on('POST code/generate', () => events([tested, event('error', { title: 'Bad answer', status: 502, detail: '' })]));
  expect(await model.generate(TASK_ID, '', '')).toBeNull();
  const generation = model.generationOf(TASK_ID);
  expect(generation.rounds.map(({ failures }) => failures[0]?.line)).toEqual([3]);

  const rounds = [ROUND, { ...ROUND, round: 2, failed: 0, failures: [] }] as unknown as FixRound[];
  const result = { patch_id: 'p', rounds, stopped: 'passed', tested: true, warnings: ['look'] } as unknown as GenerateResult;
  const seen: number[] = [];
  model.stateChanged.connect(() => seen.push(generation.rounds.length));
  server.on('POST code/generate', () => events([tested, event('result', result)]));
  expect(await model.generate(TASK_ID, ' more ', '')).toBe('p');
  expect([seen[0], seen.includes(1), generation.rounds.length, generation.result?.warnings]).toEqual([0, true, 2, ['look']]);
});

test('what a generation would send is told before it starts, and it can be left or started without', async () => {
  const model = await open();
  const generation = model.generationOf(TASK_ID);
  server.on('POST ai/optimize', async request => json({ after: { tokens: 7, cost: null }, ...((await request.json()) as object) }));
  await generation.ask(' be brief ', '');
  expect(generation.estimate).toMatchObject({ task_id: TASK_ID, instructions: 'be brief', model: null, after: { tokens: 7 } });
  generation.leave();
  expect([generation.asking, server.count('POST code/generate')]).toEqual([false, 0]);
  server.on('POST ai/optimize', () => problem(503, 'Busy', ''));
  await generation.ask('', '');
  expect([generation.asking, generation.estimate, generation.estimateError?.title]).toEqual([true, null, 'Busy']);
  server.on('POST code/generate', () => events([event('error', { title: 'Bad answer', status: 502, detail: '' })]));
  await model.generate(TASK_ID, '', '');
  expect(generation.asking).toBe(false);
});

test('what is wrong in the documents is told at each, and leads to its place', async () => {
  const model = await open();
  expect(model.warningsOf('requirements').map(({ code }) => code)).toEqual(['vague']);
  expect(model.warningsOf('design')).toEqual([]);
  model.goTo('tasks', 4, 2);
  expect([model.shown, model.place]).toEqual(['tasks', { line: 4, column: 2 }]);
});

test('a change that another view made is loaded', async () => {
  const model = await open();
  const before = server.count(`${GET}/tasks`);
  changes.emit({ kind: 'task', taskId: TASK_ID });
  changes.emit({ kind: 'task', taskId: 'of another session' });
  expect(server.count(`${GET}/tasks`)).toBe(before + 1);
  model.dispose();
  changes.emit({ kind: 'task', taskId: TASK_ID });
  expect(server.count(`${GET}/tasks`)).toBe(before + 1);
});

test('in a browser that several people use, each sees their own drafts', async () => {
  let owner = 'eva';
  const as = async (): Promise<SessionModel> => {
    const model = new SessionModel(SESSION_ID, server.client, changes, storage, () => owner);
    await model.refresh();
    return model;
  };
  (await as()).edit('requirements', 'of Eva');
  owner = 'rui';
  expect((await as()).textOf('requirements')).toBe('old');
  owner = 'eva';
  expect((await as()).textOf('requirements')).toBe('of Eva');
});

test('a save that others hear of before it is answered is no conflict with itself', async () => {
  const model = await open();
  model.edit('requirements', 'mine');
  server.on(PUT, async () => {
    server.on(GET, () => json(session(4, { requirements: 'mine' })));
    await model.refresh(); // the event came first
    expect([model.inConflict('requirements'), model.textOf('requirements')]).toEqual([false, 'mine']);
    return json(session(4, { requirements: 'mine' }));
  });
  expect(await model.save('requirements')).toBe(true);
  expect([model.draftOf('requirements'), model.saveErrors.size]).toEqual([null, 0]);
});

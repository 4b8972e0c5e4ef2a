import { expect, test } from 'vitest';

import { Changes, type Change } from '../src/model/changes';
import { Latest } from '../src/model/latest';
import { changesOf, LiveChanges } from '../src/model/live';
import { event, events, MemoryServer, problem } from './support/server';

const EVENTS = 'GET events';

function change(seq: number, type: string, payload: Record<string, unknown> = {}): string {
  return event('change', { seq, type, subject_id: `id-${String(seq)}`, payload, created_at: '2026-01-01T00:00:00Z' });
}

/** Listen until the server's answers are used up; tells what views heard and where each stream began. */
function listen(answers: (() => Response)[]): { heard: Change[]; asked: (string | null)[]; live: LiveChanges } {
  const heard: Change[] = [];
  const asked: (string | null)[] = [];
  const changes = new Changes();
  changes.happened.connect((_, told) => {
    heard.push(told);
  });
  const server = new MemoryServer().on(EVENTS, request => {
    asked.push(new URL(request.url).searchParams.get('after'));
    return (answers.shift() ?? (() => problem(404, 'Not found', 'no such stream')))();
  });
  const live = new LiveChanges({ client: server.client, changes, gatherMs: 5, wait: () => Promise.resolve() });
  live.resume();
  return { heard, asked, live };
}

test('each change is told once, and a stream that drops goes on after the last event', async () => {
  const { heard, asked, live } = listen([
    () => events([event('ready', { seq: 7 }), change(8, 'task.updated'), change(9, 'project.created')], true),
    () => events([event('ready', { seq: 9 }), change(10, 'project.updated')])
  ]);
  await expect.poll(() => asked).toEqual([null, '9', '10']);
  await expect.poll(() => heard).toEqual([{ kind: 'task', taskId: 'id-8' }, { kind: 'projects' }]);
  live.dispose();
});

test('where events were lost, everything is read anew', async () => {
  const { heard } = listen([() => events([event('ready', { seq: 1 }), change(2, 'project.updated'), event('reset', { seq: 900 })])]);
  await expect.poll(() => heard).toEqual([{ kind: 'all' }]);
});

test('a server without the stream is asked again only when someone comes back', async () => {
  const { heard, asked, live } = listen([]);
  await expect.poll(() => asked.length).toBe(1);
  await new Promise(resolve => setTimeout(resolve, 20));
  expect([asked.length, heard]).toEqual([1, []]);
  live.resume();
  await expect.poll(() => heard).toEqual([{ kind: 'all' }]);
  expect(asked.length).toBe(2);
});

test('a page that nobody sees does not listen, and goes on where it stopped', async () => {
  const waiting = (): Response => new Response(new ReadableStream({ start: () => undefined }));
  const { asked, live } = listen([() => events([event('ready', { seq: 4 })]), waiting, waiting]);
  await expect.poll(() => asked).toEqual([null, '4']);
  live.resume(); // it listens already
  live.pause();
  live.resume();
  await expect.poll(() => asked).toEqual([null, '4', '4']);
  live.dispose();
  live.resume();
  expect(asked.length).toBe(3);
});

test.each([
  ['spec_session.created', { project_id: 'p' }, [{ kind: 'sessions', projectId: 'p' }, { kind: 'documents', sessionId: 'x' }]],
  ['spec_session.updated', { project_id: 'p' }, [{ kind: 'documents', sessionId: 'x' }]],
  ['spec.updated', { session_id: 's' }, [{ kind: 'documents', sessionId: 's' }]],
  ['task.created', { session_id: 's' }, [{ kind: 'documents', sessionId: 's' }, { kind: 'task', taskId: 'x' }]],
  ['task.updated', { session_id: 's' }, [{ kind: 'task', taskId: 'x' }]],
  ['patch.updated', { task_id: 't' }, [{ kind: 'task', taskId: 't' }]],
  ['run.updated', { task_id: 't' }, [{ kind: 'run', runId: 'x' }, { kind: 'task', taskId: 't' }]],
  ['user.created', { project_id: 7 }, []]
])('what %s means for the views', (type, payload, expected) => {
  const made = { kind: 'change' as const, seq: 1, type, subject_id: 'x', payload, created_at: '' };
  expect(changesOf(made)).toEqual(expected);
});

test('whoever asks while a round is under way gets the one that starts afterwards', async () => {
  const started: (() => void)[] = [];
  const latest = new Latest(
    () =>
      new Promise(resolve => {
        started.push(resolve);
      })
  );
  let done = 0;
  const first = latest.run();
  const others = [latest.run(), latest.run()].map(round => round.then(() => (done += 1)));
  expect(started.length).toBe(1);
  started[0]?.();
  await first;
  await expect.poll(() => started.length).toBe(2);
  expect(done).toBe(0);
  started[1]?.();
  await Promise.all(others);
  expect([started.length, done]).toEqual([2, 2]);
});

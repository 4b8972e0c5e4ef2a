import { ProblemError, type LogPage } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { event, events, json, MemoryServer, problem, session, SESSION_ID } from './support/server';

const RUN = 'run-1';
const LOGS = `GET exec/${RUN}/logs`;

async function failure(work: Promise<unknown>): Promise<ProblemError> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason
  );
  expect(error).toBeInstanceOf(ProblemError);
  return error as ProblemError;
}

function page(offset: number, content: string, eof = false): LogPage {
  const next_offset = offset + content.length;
  const pieces = [{ stream: 'stdout' as const, at: '2026-01-01T00:00:00Z', offset, length: content.length, chars: content.length }];
  return { run_id: RUN, offset, next_offset, content, pieces, truncated_bytes: 0, eof, status: eof ? 'success' : 'running' };
}

test('a refusal names the field, the detail and the request', async () => {
  const server = new MemoryServer().on('POST projects', () =>
    problem(422, 'Invalid input', 'body.name: too short', [{ loc: ['body', 'name'], msg: 'too short' }])
  );
  const error = await failure(server.client.createProject({ name: '', type: 'api' }));
  expect([error.status, error.detail, error.requestId]).toEqual([422, 'body.name: too short', 'req-1']);
  expect(error.fields.get('name')).toBe('too short');
});

test("Jupyter's own errors and a dead network are problems too", async () => {
  const server = new MemoryServer()
    .on('GET health', () => json({ message: 'Forbidden', reason: null }, 403))
    .on('GET ai/models', () => Promise.reject(new TypeError('Failed to fetch')));
  expect((await failure(server.client.health())).detail).toBe('Forbidden');
  const dead = await failure(server.client.ai.models());
  expect([dead.status, dead.transient]).toEqual([0, true]);
});

test('a save names the version that it was read with', async () => {
  const server = new MemoryServer().on(`PUT spec-sessions/${SESSION_ID}`, () => json(session(4)));
  await server.client.updateSession(SESSION_ID, 3, { title: 'New' });
  expect(server.requests[0]?.headers.get('If-Match')).toBe('"3"');
});

test('a long call tells its progress and returns its result', async () => {
  const server = new MemoryServer().on('POST plan', () =>
    events([event('progress', { phase: 'model' }), ': keep-alive\n\n', event('result', { version: 2 })])
  );
  const seen: unknown[] = [];
  const result = await server.client.plan(
    { session_id: SESSION_ID, stage: 'all' },
    { onProgress: progress => seen.push(progress) }
  );
  expect([seen, result]).toEqual([[{ phase: 'model' }], { version: 2 }]);
  expect(server.requests[0]?.headers.get('Accept')).toBe('text/event-stream');
});

test('a long call fails with what the stream, the answer or the silence says', async () => {
  const server = new MemoryServer();
  const plan = (): Promise<unknown> => server.client.plan({ session_id: SESSION_ID, stage: 'all' });
  server.on('POST plan', () => events([event('error', { title: 'Bad answer', status: 502, detail: 'no tool call' })]));
  expect((await failure(plan())).status).toBe(502);
  server.on('POST plan', () => problem(409, 'Conflict', 'A plan is at work.'));
  expect((await failure(plan())).detail).toBe('A plan is at work.');
  server.on('POST plan', () => events([event('progress', {})]));
  expect((await failure(plan())).title).toBe('The connection was lost');
});

test('a log that drops goes on where it stopped, with no gap and nothing twice', async () => {
  const text = 'abcdefghijklmnopqrst';
  const asked: number[] = [];
  const server = new MemoryServer().on(LOGS, request => {
    const offset = Number(new URL(request.url).searchParams.get('offset'));
    asked.push(offset);
    const content = text.slice(offset, offset + 5);
    const last = offset + 5 >= text.length;
    const sent = [event('log', page(offset, content, last))];
    if (asked.length === 2) {
      return problem(503, 'Temporarily unavailable', 'restarting');
    }
    // The second piece is sent twice, as a server that lost count would.
    return events(last ? sent : [...sent, event('log', page(offset, content))], asked.length % 2 === 0);
  });
  const waits: number[] = [];
  let read = '';
  const follow = server.client.followLog(RUN, {
    wait: ms => {
      waits.push(ms);
      return Promise.resolve();
    }
  });
  for await (const { content } of follow) {
    read += content;
  }
  expect(read).toBe(text);
  expect(asked).toEqual([0, 5, 5, 10, 15]);
  expect(waits[1]).toBeGreaterThan(waits[0] ?? 0);
});

test('a log that is refused is not asked for again', async () => {
  const server = new MemoryServer().on(LOGS, () => problem(404, 'Not found', 'There is no such run.'));
  const first = server.client.followLog(RUN).next();
  expect((await failure(first)).status).toBe(404);
  expect(server.count(LOGS)).toBe(1);
});

test('a limit says when to come back', async () => {
  const server = new MemoryServer().on('POST plan', () => {
    const refused = problem(429, 'Too many requests', 'Ten a minute.');
    refused.headers.set('Retry-After', '7');
    return refused;
  });
  server.on('GET health', () => new Response('', { status: 429, headers: { 'Retry-After': 'Wed, 21 Oct 2026 07:28:00 GMT' } }));
  const before = Date.now();
  const error = await failure(server.client.plan({ session_id: SESSION_ID, stage: 'all' }));
  expect([error.status, error.retryAfter, error.transient]).toEqual([429, 7, true]);
  expect(error.retryAt).toBeGreaterThanOrEqual(before + 7000);
  expect((await failure(server.client.health())).retryAt).toBeNull();
});

test('an answer without a body is an answer', async () => {
  const server = new MemoryServer().on('POST auth/sign-out', () => new Response(null, { status: 204 }));
  await expect(server.client.signOut()).resolves.toBeUndefined();
  expect(server.count('POST auth/sign-out')).toBe(1);
});

import type { Conflict } from '@renum/devstudio-api-client';
import { beforeEach, expect, test } from 'vitest';

import { SessionSync } from '../src/model/sync';
import { json, MemoryServer, problem, session, SESSION_ID } from './support/server';

const LIST = `GET spec-sessions/${SESSION_ID}/conflicts`;
const SYNC = `POST spec-sessions/${SESSION_ID}/sync`;

function conflict(change: Partial<Conflict> = {}): Conflict {
  return { id: 'c1', document: 'design', block_id: 'b', label: 'Task 1', kind: 'conflict', base: 'a', ours: 'o', theirs: 't', source: 'markdown', status: 'open', version: 1, ...change } as Conflict;
}

let server: MemoryServer;
let sync: SessionSync;
let shown = session(3, { design: 'before' });

beforeEach(async () => {
  shown = session(3, { design: 'before' });
  server = new MemoryServer().on(LIST, () => json({ items: [conflict({ id: 'c2' }), conflict()], next_cursor: null }));
  sync = new SessionSync(SESSION_ID, server.client, {
    changed: () => undefined,
    accepted: after => {
      shown = after;
    },
    session: () => shown
  });
  await sync.load();
});

test('what waits is shown in the order in which it came', () => {
  expect([sync.state, sync.open.map(({ id }) => id)]).toEqual(['conflicts', ['c1', 'c2']]);
});

test('an answer names the version that was looked at, and can be taken back', async () => {
  const asked: unknown[] = [];
  server.on('POST conflicts/c1/resolve', async request => {
    asked.push(request.headers.get('If-Match'), await request.json());
    return json({ conflict: conflict({ status: 'resolved' }), session: session(4, { design: 'both' }) });
  });
  server.on(LIST, () => json({ items: [conflict({ status: 'resolved' })], next_cursor: null }));
  expect(await sync.resolve(conflict(), { choice: 'both' })).toBe(true);
  expect(asked).toEqual(['"1"', { choice: 'both' }]);
  expect([sync.state, shown.documents.design.content, sync.undoable?.before]).toEqual(['synced', 'both', 'before']);
  server.on(`PUT spec-sessions/${SESSION_ID}`, async request => {
    asked.push(await request.json());
    return json(session(5, { design: 'before' }));
  });
  expect(await sync.undo()).toBe(true);
  expect([asked.at(-1), shown.version, sync.undoable]).toEqual([{ documents: { design: 'before' } }, 5, null]);
});

test('a conflict that changed meanwhile is shown as it is now, with why', async () => {
  server.on('POST conflicts/c1/resolve', () => problem(412, 'Stale', 'it was changed'));
  server.on(LIST, () => json({ items: [conflict({ version: 2, ours: 'newer' })], next_cursor: null }));
  expect(await sync.resolve(conflict(), { choice: 'ours' })).toBe(false);
  expect([sync.refusal?.detail, sync.open[0]?.ours, sync.resolving]).toEqual(['it was changed', 'newer', null]);
});

test('a failure is told and goes away with the next sync', async () => {
  server.on(SYNC, () => problem(409, 'Archived', 'the project is archived'));
  await sync.run();
  expect([sync.state, sync.error?.detail]).toEqual(['failed', 'the project is archived']);
  server.on(SYNC, () => json({ session: session(4), changed: [], conflicts: [], deletions: [], kept: ['tasks.edited-1.md'] }));
  server.on(LIST, () => json({ items: [], next_cursor: null }));
  await sync.run();
  expect([sync.state, sync.kept, shown.version]).toEqual(['synced', ['tasks.edited-1.md'], 4]);
});

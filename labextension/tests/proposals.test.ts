import type { Proposal, ProposalBlock } from '@renum/devstudio-api-client';
import { beforeEach, expect, test } from 'vitest';

import { Changes } from '../src/model/changes';
import { SessionModel } from '../src/model/session';
import { event, events, json, MemoryServer, problem, session, SESSION_ID, task } from './support/server';

const GET = `GET spec-sessions/${SESSION_ID}`;

function block(id: string, change: Partial<ProposalBlock> = {}): ProposalBlock {
  return { id, document: 'requirements', key: id, kind: 'changed', label: id, before: 'old', after: 'new', accepted: null, ...change };
}

function proposal(change: Partial<Proposal> = {}): Proposal {
  const blocks = [block('a'), block('b'), block('c', { kind: 'same' })];
  return { id: 'p1', session_id: SESSION_ID, stage: 'requirements', status: 'open', model: 'm', reason: null, blocks, ...change } as Proposal;
}

let server: MemoryServer;
let model: SessionModel;
const told: string[] = [];

beforeEach(async () => {
  server = new MemoryServer()
    .on(GET, () => json(session(3, { requirements: 'old' })))
    .on(`${GET}/tasks`, () => json({ items: [task()], criteria: [] }))
    .on(`${GET}/lint`, () => json({ warnings: [], coverage: {} }))
    .on(`${GET}/proposals`, () => json({ items: [proposal()], next_cursor: null }))
    .on('GET proposals/p1', () => json(proposal()))
    .on(`GET projects/${session(1).project_id}`, () => json({ id: session(1).project_id, name: 'A project' }))
    .on('GET code/patches', () => json({ items: [], next_cursor: null }));
  const changes = new Changes();
  told.length = 0;
  changes.happened.connect((_, change) => told.push(change.kind));
  const items = new Map<string, string>();
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key)
  };
  model = new SessionModel(SESSION_ID, server.client, changes, storage);
  await model.refresh();
});

test('what waits for a decision is there after a reload, without the blocks that stay', () => {
  expect(model.proposals.blocks.map(({ id }) => id)).toEqual(['a', 'b']);
});

test('one block is accepted by itself; the others go on waiting, and the documents are those of the answer', async () => {
  const after = proposal({ blocks: [block('a', { accepted: true }), block('b')] });
  server.on('GET proposals/p1', () => json(after));
  server.on(GET, () => json(session(4, { requirements: 'new' })));
  server.on('POST proposals/p1/accept', async request => {
    expect(await request.json()).toEqual({ blocks: ['a'] });
    return json({ proposal: after, session: session(4, { requirements: 'new' }) });
  });
  expect(await model.proposals.accept('a')).toBe(true);
  expect(model.textOf('requirements')).toBe('new');
  expect(model.proposals.blocks.map(({ accepted }) => accepted)).toEqual([true, null]);
  expect([told, model.proposals.deciding]).toEqual([['documents'], null]);
});

test('when all is accepted nothing waits any more; two decisions at once are one', async () => {
  server.on(`${GET}/proposals`, () => json({ items: [proposal({ status: 'accepted' })], next_cursor: null }));
  server.on('POST proposals/p1/accept', () => json({ proposal: proposal({ status: 'accepted' }), session: session(4, { requirements: 'new' }) }));
  expect(await Promise.all([model.proposals.accept(), model.proposals.accept()])).toEqual([true, false]);
  expect([model.proposals.open, server.count('POST proposals/p1/accept')]).toEqual([null, 1]);
});

test('a refusal of the server keeps the proposal and says why', async () => {
  server.on('POST proposals/p1/accept', () => problem(409, 'Decided already', 'by somebody else'));
  expect(await model.proposals.accept()).toBe(false);
  expect([model.proposals.open?.id, model.proposals.error?.detail]).toEqual(['p1', 'by somebody else']);
});

test('a rejection sends its reason and shows it until the next proposal', async () => {
  server.on('POST proposals/p1/reject', async request => {
    const { reason } = (await request.json()) as { reason: string };
    return json(proposal({ status: 'rejected', reason }));
  });
  expect(await model.proposals.reject('too vague')).toBe(true);
  expect([model.proposals.open, model.proposals.rejected?.reason]).toEqual([null, 'too vague']);

  const next = proposal({ id: 'p2' });
  server.on('POST plan', () => events([event('result', { usage: { model: 'm' }, warnings: [], proposal: next })]));
  server.on(`${GET}/proposals`, () => json({ items: [next], next_cursor: null })).on('GET proposals/p2', () => json(next));
  expect(await model.plan('requirements', '', '')).toBe(true);
  expect([model.proposals.open?.id, model.proposals.rejected]).toEqual(['p2', null]);
});

test('a document is approved in the version that is read, after what was typed is saved', async () => {
  const approve = `POST spec-sessions/${SESSION_ID}/documents/requirements/approve`;
  server.on(approve, async request => {
    expect(await request.json()).toEqual({ version: 1 });
    return json(session(5, { requirements: 'typed' }));
  });
  server.on(`PUT spec-sessions/${SESSION_ID}`, () => json(session(4, { requirements: 'typed' })));
  model.edit('requirements', 'typed');
  await model.setApproved('requirements', true);
  expect([server.count(approve), server.count(`PUT spec-sessions/${SESSION_ID}`), model.saving.size]).toEqual([1, 1, 0]);

  server.on(`POST spec-sessions/${SESSION_ID}/documents/requirements/reopen`, () => problem(403, 'Forbidden', 'not you'));
  await model.setApproved('requirements', false);
  expect(model.saveErrors.get('requirements')?.detail).toBe('not you');
});

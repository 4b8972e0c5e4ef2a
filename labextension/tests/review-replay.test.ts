import { expect, test } from 'vitest';

import { Changes } from '../src/model/changes';
import { ReplayModel } from '../src/model/review-replay';
import { json, MemoryServer, problem } from './support/server';

const START = 'POST code/patches/p/replay';
const LIST = 'GET code/patches/p/replays';

function open(server: MemoryServer): [ReplayModel, Changes] {
  const changes = new Changes();
  return [new ReplayModel({ id: 'p', task_id: 't' }, server.client, changes), changes];
}

test('a replay is started once, followed to its end, and counts only for the bytes of now', async () => {
  const before = { id: 'a', run_id: 'r0', current: false, status: 'success', mismatches: [] };
  let items: object[] = [before];
  const server = new MemoryServer()
    .on(LIST, () => json({ items }))
    .on(START, () => {
      items = [{ id: 'b', run_id: 'r1', current: true, status: 'pending', mismatches: [] }, before];
      return json({ run_id: 'r1' }, 202);
    });
  const [model, changes] = open(server);
  await model.refresh();
  expect([model.latestOne, model.running]).toEqual([null, false]);
  await Promise.all([model.start(), model.start()]);
  expect([server.count(START), model.latestOne?.id, model.running]).toEqual([1, 'b', true]);
  await model.start();
  expect(server.count(START)).toBe(1);
  items = [{ id: 'b', run_id: 'r1', current: true, status: 'success', mismatches: ['The tree differs.'] }];
  changes.emit({ kind: 'run', runId: 'another' });
  changes.emit({ kind: 'run', runId: 'r1' });
  await expect.poll(() => model.running).toBe(false);
  expect(model.latestOne?.mismatches).toEqual(['The tree differs.']);
});

test('a refusal says why, and can be tried again', async () => {
  const server = new MemoryServer().on(LIST, () => json({ items: [] })).on(START, () => problem(409, 'No sandbox', 'Start it.'));
  const [model] = open(server);
  await model.start();
  expect([model.error?.title, model.running]).toEqual(['No sandbox', false]);
});

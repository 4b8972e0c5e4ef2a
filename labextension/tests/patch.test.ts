import type { Me, Patch } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { Access } from '../src/model/access';
import { Changes } from '../src/model/changes';
import { PatchModel } from '../src/model/patch';
import { ReviewMarks } from '../src/model/review-marks';
import { json, MemoryServer, task, TASK_ID } from './support/server';
import { MemoryStorage } from './support/storage';

const APPROVE = 'POST code/patches/p/approve';

async function open(me: Partial<Me>): Promise<[PatchModel, MemoryServer, Changes]> {
  let status: Patch['status'] = 'pending';
  const server = new MemoryServer()
    .on('GET me', () => json({ user_id: 'eva', tenant_id: 't', name: 'Eva', mode: 'team', permissions: ['code:approve'], ...me }))
    .on('GET code/patches/p', () => json({ id: 'p', task_id: TASK_ID, created_by: 'eva', status, run_id: null }))
    .on('POST code/preview', () => json({ patch_id: 'p', digest: 'd', files: [] }))
    .on(`GET tasks/${TASK_ID}`, () => json(task()))
    .on(APPROVE, () => {
      status = 'approved';
      return json({ id: 'p' });
    });
  const access = new Access(server.client);
  await access.ready;
  const changes = new Changes();
  const model = new PatchModel('p', server.client, changes, access, new ReviewMarks('p', new MemoryStorage()));
  await model.refresh();
  expect(model.error).toBeNull();
  return [model, server, changes];
}

test('who asked for a patch does not approve it, by no key either', async () => {
  const [model, server] = await open({});
  expect([model.isOwn, model.canApprove, model.canDecide]).toEqual([true, false, true]);
  await model.approve();
  expect([server.count(APPROVE), model.actionError]).toEqual([0, null]);
});

test('a colleague with the permission approves, one without does not', async () => {
  const [viewer, asked] = await open({ user_id: 'vera', permissions: ['spec:read'] });
  await viewer.approve();
  expect([viewer.canApprove, asked.count(APPROVE)]).toEqual([false, 0]);
  const [reviewer] = await open({ user_id: 'rui' });
  expect(reviewer.canApprove).toBe(true);
  await reviewer.approve();
  expect(reviewer.patch?.status).toBe('approved');
});

test('one person alone approves what they asked for', async () => {
  const [model] = await open({ mode: 'local' });
  expect([model.isOwn, model.canApprove]).toEqual([false, true]);
});

test('what a colleague decided shows without a reload', async () => {
  const [model, server, changes] = await open({});
  server.on('GET code/patches/p', () => json({ id: 'p', task_id: TASK_ID, created_by: 'eva', status: 'approved', run_id: null }));
  changes.emit({ kind: 'task', taskId: TASK_ID });
  await expect.poll(() => model.canApply).toBe(true);
});

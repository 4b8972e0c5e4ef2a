import type { Me } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { Access } from '../src/model/access';
import { Changes } from '../src/model/changes';
import { PatchModel } from '../src/model/patch';
import { lineEndOf } from '../src/model/patch-edits';
import { ReviewMarks } from '../src/model/review-marks';
import { json, MemoryServer, problem, task, TASK_ID } from './support/server';
import { MemoryStorage } from './support/storage';

const APPROVE = 'POST code/patches/p/approve';
const EDIT = 'PUT code/patches/p';
const REBASE = 'POST code/patches/p/rebase';
const FILE = { path: 'a.py', change: 'update', old: 'x = 1\n', new: 'x = 2\n', binary: false, additions: 1, deletions: 1 };
const OWN = 'You prompted this patch, so someone else has to approve it.';

/** A server with one patch, which its tests change. */
class Reviewed extends MemoryServer {
  patch: Record<string, unknown> = {
    id: 'p',
    task_id: TASK_ID,
    created_by: 'eva',
    status: 'pending',
    run_id: null,
    digest: 'd1',
    revision: 1,
    version: 5,
    contributors: [{ user_id: 'eva', user_name: 'Eva', roles: ['prompter'] }],
    approvals: [],
    review: { required_approvals: 1, counted: 0, missing: 1, protected: true, may_approve: true, why_not: null }
  };

  constructor() {
    super();
    this.on('GET code/patches/p', () => json(this.patch))
      .on('POST code/preview', () => json({ patch_id: 'p', digest: this.patch.digest, base_moved: false, files: [FILE] }))
      .on(`GET tasks/${TASK_ID}`, () => json(task()))
      .on(APPROVE, () => this.become({ status: 'approved' }))
      .on(EDIT, () => this.become({ digest: 'd2', revision: 2, version: 6 }));
  }

  become(change: Record<string, unknown>): Response {
    Object.assign(this.patch, change);
    return json(this.patch);
  }

  refuse(why_not: string): this {
    this.patch.review = { ...(this.patch.review as object), may_approve: false, why_not };
    return this;
  }

  async body(route: string): Promise<unknown> {
    const last = this.requests.findLast(({ method, url }) => route === `${method} ${url.split('/api/v1/')[1] ?? ''}`);
    return last?.clone().json();
  }
}

async function open(me: Partial<Me>, server = new Reviewed(), storage = new MemoryStorage()): Promise<[PatchModel, Reviewed, Changes]> {
  const read = { user_id: 'eva', tenant_id: 't', name: 'Eva', mode: 'team', permissions: ['code:approve'], ...me };
  server.on('GET me', () => json(read));
  const access = new Access(server.client);
  await access.ready;
  const changes = new Changes();
  const model = new PatchModel('p', server.client, changes, access, new ReviewMarks('p', storage));
  await model.refresh();
  expect(model.error).toBeNull();
  return [model, server, changes];
}

function only(model: PatchModel): NonNullable<PatchModel['preview']>['files'][number] {
  const [file] = model.preview?.files ?? [];
  if (file === undefined) {
    throw new Error('no file');
  }
  return file;
}

test('who asked for a patch does not approve it, by no key either', async () => {
  const [model, server] = await open({}, new Reviewed().refuse(OWN));
  expect([model.isOwn, model.canApprove, model.canReject]).toEqual([true, false, true]);
  await model.approve();
  expect([server.count(APPROVE), model.actionError]).toEqual([0, null]);
});

test('who changed a patch of somebody else has a hand in it', async () => {
  const server = new Reviewed();
  server.patch.contributors = [{ user_id: 'rui', user_name: 'Rui', roles: ['editor'] }];
  const [model] = await open({ user_id: 'rui' }, server);
  expect(model.isOwn).toBe(true);
});

test('a colleague with the permission approves the bytes and the revision that are shown; one without does not', async () => {
  const [viewer, asked] = await open({ user_id: 'vera', permissions: ['spec:read'] });
  await viewer.approve();
  expect([viewer.canApprove, asked.count(APPROVE)]).toEqual([false, 0]);
  const [reviewer, server] = await open({ user_id: 'rui' });
  expect(reviewer.canApprove).toBe(true);
  await reviewer.approve();
  expect(reviewer.patch?.status).toBe('approved');
  expect(await server.body(APPROVE)).toEqual({ digest: 'd1', revision: 1 });
});

test('one person alone approves what they asked for', async () => {
  const [model] = await open({ mode: 'local' });
  expect([model.isOwn, model.canApprove]).toEqual([false, true]);
});

test('what a colleague decided shows without a reload', async () => {
  const [model, server, changes] = await open({});
  server.become({ status: 'approved' });
  changes.emit({ kind: 'task', taskId: TASK_ID });
  await expect.poll(() => model.canApply).toBe(true);
});

test('an approval can be withdrawn by whose it is, while it counts', async () => {
  const server = new Reviewed();
  const mine = { id: 'a', user_id: 'rui', counts: true };
  server.become({ status: 'approved', approvals: [mine] });
  const [model, , changes] = await open({ user_id: 'rui' }, server);
  expect([model.canWithdraw, (await open({ user_id: 'eva' }, server))[0].canWithdraw]).toEqual([true, false]);
  server.become({ approvals: [{ ...mine, counts: false }] });
  changes.emit({ kind: 'all' });
  await expect.poll(() => model.canWithdraw).toBe(false);
});

test('nothing is approved while something typed is not saved, and a save makes a revision', async () => {
  const [model, server] = await open({ user_id: 'rui', permissions: ['code:approve', 'code:generate'] });
  model.startEdit(only(model));
  model.type(only(model), 'x = 3\n');
  expect([model.canApprove, model.edits.textOf(only(model))]).toEqual([false, 'x = 3\n']);
  await model.saveEdits();
  expect(await server.body(EDIT)).toEqual({ files: { 'a.py': 'x = 3\n' } });
  expect(server.requests.find(({ method }) => method === 'PUT')?.headers.get('If-Match')).toBe('"5"');
  expect([model.edits.isEmpty, model.done, model.patch?.revision, model.preview?.digest]).toEqual([true, 'saved', 2, 'd2']);
  model.type(only(model), 'x = 2\n');
  expect(model.edits.isEmpty).toBe(true);
});

test('what was typed outlives a reload and a refusal, and is not put over what somebody else saved', async () => {
  const storage = new MemoryStorage();
  const [before] = await open({}, new Reviewed(), storage);
  before.type(only(before), 'x = 4\n');
  const server = new Reviewed();
  const [model] = await open({}, server, storage);
  expect(model.edits.texts).toEqual({ 'a.py': 'x = 4\n' });
  server.on(EDIT, () => problem(412, 'Changed meanwhile', 'Version 6.'));
  server.become({ digest: 'd9', revision: 3 });
  await model.saveEdits();
  expect([model.actionError?.status, model.edits.stale('d9')]).toEqual([412, ['a.py']]);
  await model.saveEdits();
  expect(server.count(EDIT)).toBe(1);
  model.keepEdits();
  server.on(EDIT, () => server.become({ digest: 'd10', revision: 4 }));
  await model.saveEdits();
  expect([server.count(EDIT), model.edits.isEmpty]).toEqual([2, true]);
});

test('conflicts are shown and stay until they are solved or dropped', async () => {
  const [model, server] = await open({});
  const conflict = { path: 'a.py', base: 'x = 1\n', ours: 'x = 5\n', theirs: 'x = 2\n' };
  server.on(REBASE, () => json({ patch: server.patch, conflicts: [conflict] }));
  await model.rebase();
  expect([model.conflicts, model.done]).toEqual([[conflict], null]);
  model.dropConflicts();
  expect(model.conflicts).toEqual([]);
  server.on(REBASE, () => {
    server.become({ revision: 2, digest: 'd2' });
    return json({ patch: server.patch, conflicts: [] });
  });
  await model.rebase({ 'a.py': 'x = 7\n' });
  expect([model.conflicts.length, model.done, model.patch?.revision]).toEqual([0, 'rebased', 2]);
  expect(await server.body(REBASE)).toEqual({ resolutions: { 'a.py': 'x = 7\n' } });
});

test('the files stay the same objects while the revision does', async () => {
  const [model, server, changes] = await open({});
  const shown = model.preview?.files;
  server.become({ status: 'approved' });
  changes.emit({ kind: 'all' });
  await expect.poll(() => model.patch?.status).toBe('approved');
  expect(model.preview?.files).toBe(shown);
});

test('the ends of lines are told apart', () => {
  expect(['a\nb\n', 'a\r\nb\r\n', 'a', 'a\r\nb\n', 'a\rb'].map(lineEndOf)).toEqual(['\n', '\r\n', '\n', null, null]);
});

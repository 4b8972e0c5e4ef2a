import { readFileSync } from 'node:fs';

import type { Me } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { Access, PERMISSIONS } from '../src/model/access';
import { json, MemoryServer, problem } from './support/server';

const EVA: Me = {
  user_id: 'eva',
  tenant_id: 'tenant-1',
  name: 'Eva',
  roles: ['executor'],
  permissions: ['spec:read', 'spec:create', 'code:apply'],
  mode: 'team',
  expires_at: null
};

async function signedIn(me: Partial<Me> = {}): Promise<[Access, MemoryServer]> {
  const server = new MemoryServer().on('GET me', () => json({ ...EVA, ...me }));
  const access = new Access(server.client);
  await access.ready;
  return [access, server];
}

test('the permissions are those that the operations ask for', () => {
  const text = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf-8');
  const asked = new Map(
    text.split('operationId: "').map(part => [part.split('"')[0], /x-permission: "([^"]+)"/.exec(part)?.[1]])
  );
  const operations: Record<keyof typeof PERMISSIONS, string> = {
    createProject: 'create_project',
    createSession: 'create_spec_session',
    updateSession: 'update_spec_session',
    plan: 'plan',
    acceptProposal: 'accept_proposal',
    approveDocument: 'approve_document',
    generateCode: 'generate_code',
    approvePatch: 'approve_patch',
    rejectPatch: 'reject_patch',
    applyPatch: 'apply_patch',
    uploadPatch: 'upload_patch',
    editPatch: 'edit_patch',
    replayPatch: 'replay_patch',
    setPolicy: 'put_review_policy',
    exportEvidence: 'get_bundle',
    cancelRun: 'cancel_run',
    startRun: 'run_command',
    requestLease: 'request_egress_lease',
    approveLease: 'approve_egress_lease',
    openRun: 'get_run',
    setBudget: 'put_budget',
    setAgentSettings: 'put_agent_settings'
  };
  expect(Object.fromEntries(Object.entries(operations).map(([deed, id]) => [deed, asked.get(id)]))).toEqual(PERMISSIONS);
});

test('a deed is missing its permission only when it is known to be', async () => {
  const access = new Access(new MemoryServer().client);
  expect(access.missing('approvePatch')).toBeNull();
  const [known] = await signedIn();
  expect([known.missing('approvePatch'), known.missing('applyPatch')]).toEqual(['code:approve', null]);
});

test('in a team nobody approves what they asked for; alone there is nobody else', async () => {
  const [team] = await signedIn();
  expect([team.isOwn({ created_by: 'eva' }), team.isOwn({ created_by: 'rui' }), team.owner]).toEqual([true, false, 'eva']);
  const [alone] = await signedIn({ mode: 'local' });
  expect([alone.team, alone.isOwn({ created_by: 'eva' }), alone.owner]).toEqual([false, false, '']);
});

test('an expired sign-in is found out once, and is over when someone signs in again', async () => {
  const [access, server] = await signedIn();
  let told = 0;
  access.stateChanged.connect(() => {
    told += 1;
  });
  server.on('GET me', () => problem(401, 'Not signed in', 'Sign in.'));
  access.answered(401);
  access.answered(401);
  expect(access.asking).toBe(true);
  await expect.poll(() => access.signedOut && !access.asking).toBe(true);
  access.answered(401);
  expect([server.count('GET me'), told]).toEqual([2, 1]);
  server.on('GET me', () => json(EVA));
  access.answered(200); // another tab signed in
  await expect.poll(() => access.signedOut).toBe(false);
  expect(access.replaced).toBe(false);
});

test('somebody else who signs in in the same browser is noticed', async () => {
  const [access, server] = await signedIn();
  server.on('GET me', () => json({ ...EVA, user_id: 'otto', tenant_id: 'tenant-2' }));
  access.answered(404);
  await expect.poll(() => access.replaced).toBe(true);
});

test('a refusal reads the roles anew; alone, Jupyter says what is wrong', async () => {
  const [access, server] = await signedIn();
  server.on('GET me', () => json({ ...EVA, permissions: ['spec:read'] }));
  access.answered(403);
  await expect.poll(() => access.missing('applyPatch')).toBe('code:apply');
  const [alone, local] = await signedIn({ mode: 'local' });
  alone.answered(401);
  expect([alone.signedOut, local.count('GET me')]).toEqual([false, 1]);
});

test('a server that is down for a moment signs nobody out', async () => {
  const [access, server] = await signedIn();
  server.on('GET me', () => problem(503, 'Temporarily unavailable', 'restarting'));
  await access.load();
  expect([access.signedOut, access.me?.name]).toEqual([false, 'Eva']);
});

test('what could not be asked at the start is asked once the server answers', async () => {
  const server = new MemoryServer().on('GET me', () => problem(503, 'Temporarily unavailable', 'starting'));
  const access = new Access(server.client);
  access.answered(200); // nobody asked yet
  await access.ready;
  server.on('GET me', () => json(EVA));
  access.answered(200);
  await expect.poll(() => access.team).toBe(true);
  expect(server.count('GET me')).toBe(2);
});

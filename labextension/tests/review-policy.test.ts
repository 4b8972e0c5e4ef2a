import type { ReviewPolicy } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { fieldsOf, policyOf } from '../src/model/review-policy';
import { MemoryServer, problem } from './support/server';

const POLICY: ReviewPolicy = {
  project_id: 'p',
  protected_branches: ['main', 'release/*'],
  required_approvals: 2,
  approver_roles: ['reviewer'],
  approver_users: ['u1', 'u2'],
  strict_proof: true,
  approval_hours: 24,
  version: 3,
  updated_at: null
};

test('a form that nobody touched says the same again', () => {
  const { protected_branches, required_approvals, approver_roles, approver_users, strict_proof, approval_hours } = POLICY;
  expect(policyOf(fieldsOf(POLICY))).toEqual({
    protected_branches,
    required_approvals,
    approver_roles,
    approver_users,
    strict_proof,
    approval_hours
  });
});

test('what is emptied is left to the server, and lines of nothing are none', () => {
  const values = { ...fieldsOf(POLICY), protected_branches: ' \n', required_approvals: '', approver_users: ' u1 \n\n', strict_proof: '' };
  const sent = policyOf({ ...values, approval_hours: '' });
  expect([sent.protected_branches, sent.required_approvals, sent.strict_proof]).toEqual([null, null, false]);
  expect([sent.approver_users, 'approval_hours' in sent]).toEqual([['u1'], false]);
});

test('a refusal names the field, and a save names the version that was read', async () => {
  const errors = [{ loc: ['body', 'protected_branches'], msg: 'matches no branch', type: 'value_error' }];
  const server = new MemoryServer().on('PUT projects/p/review-policy', () => problem(422, 'Invalid', 'One field.', errors));
  const refused: unknown = await server.client.review.setPolicy('p', 3, policyOf(fieldsOf(POLICY))).catch((error: unknown) => error);
  expect(refused).toMatchObject({ status: 422 });
  expect((refused as { fields: Map<string, string> }).fields.get('protected_branches')).toBe('matches no branch');
  expect(server.requests[0]?.headers.get('If-Match')).toBe('"3"');
});

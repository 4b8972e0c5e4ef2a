import type { ReviewPolicy, ReviewPolicyWrite } from '@renum/devstudio-api-client';

/** The policy as the fields of a form hold it: every value is a text, and a list has one value a line. */
export function fieldsOf(policy: ReviewPolicy): Record<string, string> {
  return {
    protected_branches: policy.protected_branches.join('\n'),
    required_approvals: String(policy.required_approvals),
    approver_roles: policy.approver_roles.join('\n'),
    approver_users: policy.approver_users.join('\n'),
    strict_proof: policy.strict_proof ? 'true' : '',
    approval_hours: String(policy.approval_hours)
  };
}

/** The policy to send. What is empty is left to the server's default; the server checks the rest. */
export function policyOf(values: Record<string, string>): ReviewPolicyWrite {
  const branches = linesOf(values.protected_branches);
  return {
    protected_branches: branches.length === 0 ? null : branches,
    required_approvals: numberOf(values.required_approvals) ?? null,
    approver_roles: linesOf(values.approver_roles) as ReviewPolicyWrite['approver_roles'],
    approver_users: linesOf(values.approver_users),
    strict_proof: values.strict_proof === 'true',
    ...(numberOf(values.approval_hours) === undefined ? {} : { approval_hours: numberOf(values.approval_hours) })
  } as ReviewPolicyWrite;
}

function linesOf(text: string | undefined): string[] {
  return (text ?? '')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '');
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined || text.trim() === '' ? undefined : Number(text);
}

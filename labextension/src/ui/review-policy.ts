import type { ReviewPolicy } from '@renum/devstudio-api-client';

import { fieldsOf, policyOf } from '../model/review-policy';
import type { IDevStudio } from '../tokens';
import { openForm, type IField } from './form';
import { missingReason } from './permission';

/** Show what a project asks of its reviews, and take what the person changes, if they may; null when nothing changed. */
export async function askReviewPolicy(studio: IDevStudio, projectId: string): Promise<ReviewPolicy | null> {
  const { trans, client, access } = studio;
  const [policy, project] = await Promise.all([client.review.policy(projectId), client.project(projectId)]);
  const readOnly = missingReason(access, 'setPolicy', trans);
  const saved = await openForm(studio, {
    title: trans.__('Review policy of %1', project.name),
    submitLabel: trans.__('Save'),
    ...(readOnly === null ? {} : { readOnly }),
    fields: fields(studio, policy),
    submit: values => client.review.setPolicy(projectId, policy.version, policyOf(values))
  });
  if (saved !== null) {
    studio.changes.emit({ kind: 'all' }); // every open review may ask for something else now
  }
  return saved;
}

function fields({ trans, access }: IDevStudio, policy: ReviewPolicy): IField[] {
  const values = fieldsOf(policy);
  const list: IField[] = [
    {
      name: 'protected_branches',
      label: trans.__('Protected branches'),
      kind: 'textarea',
      hint: trans.__('One a line; * is any text, as in release/*. Empty: the default branch.')
    },
    {
      name: 'required_approvals',
      label: trans.__('Approvals that a patch for them needs'),
      kind: 'number',
      step: 1,
      hint: access.team
        ? trans.__('At least 1. Who wrote, changed or asked for a patch never counts.')
        : trans.__('0: you may approve your own patches, and the record says so.')
    },
    {
      name: 'approver_roles',
      label: trans.__('Whose approvals count'),
      kind: 'checks',
      options: [
        { value: 'reviewer', label: trans.__('Reviewers') },
        { value: 'admin_devstudio', label: trans.__('Administrators') }
      ],
      hint: trans.__('None ticked and nobody named below: everybody’s who may approve.')
    },
    {
      name: 'approver_users',
      label: trans.__('And these people’s'),
      kind: 'textarea',
      hint: trans.__('One user id a line.')
    },
    {
      name: 'approval_hours',
      label: trans.__('Hours for which an approval counts'),
      kind: 'number',
      step: 1
    },
    {
      name: 'strict_proof',
      label: trans.__('Strict proof: tests must fail without the patch and pass with it'),
      kind: 'check',
      hint: trans.__('Each in a fresh container. A criterion that was true before proves nothing.')
    }
  ];
  return list.map(field => ({ ...field, value: values[field.name] ?? '' }));
}

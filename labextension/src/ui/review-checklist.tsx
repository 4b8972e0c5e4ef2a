import type { Patch, PatchPreview } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { CommandIds } from '../tokens';
import { Button, Chip, Hash } from './common';
import { useStudio } from './context';
import { useAccess } from './permission';

interface IProps {
  patch: Patch;
  preview: PatchPreview;
}

/** Whether a point holds; `wait` is neither good nor bad yet. */
type Mark = 'yes' | 'no' | 'wait';

/** What has to hold before the patch may be applied, point by point, in words. */
export function Checklist({ patch, preview }: IProps): React.JSX.Element {
  const { trans, commands } = useStudio();
  const { review } = patch;
  const needed = Math.max(1, review.required_approvals);
  return (
    <section aria-label={trans.__('Two-person checklist')} className="devstudio-Checklist" data-testid="patch-checklist">
      <h3>{trans.__('Checklist')}</h3>
      <ul>
        <Signature patch={patch} />
        <Base patch={patch} preview={preview} />
        <Point mark={patch.tested ? 'yes' : 'wait'} testid="check-tested">
          {patch.tested ? trans.__('A run tested exactly these bytes') : trans.__('Not tested yet; applying tests it')}
        </Point>
        <Contributors patch={patch} />
        <Point mark={review.counted >= needed ? 'yes' : 'wait'} testid="check-approvals">
          <span data-testid="patch-approvals-count">
            {trans._n('%2 of %1 approval', '%2 of %1 approvals', needed, review.counted)}
          </span>
          {review.required_approvals === 0 && (
            <div className="devstudio-Faint">{trans.__('The policy asks for nobody else; the record says so.')}</div>
          )}
          <Approvals patch={patch} />
        </Point>
      </ul>
      <Button
        label={trans.__('Review policy')}
        testid="open-review-policy"
        onClick={() => void commands.execute(CommandIds.reviewPolicy, { projectId: patch.project_id })}
      />
    </section>
  );
}

function markName(mark: Mark, trans: TranslationBundle): string {
  const names = { yes: trans.__('Done'), no: trans.__('Problem'), wait: trans.__('Open') };
  return names[mark];
}

function Point(props: { mark: Mark; testid: string; children: React.ReactNode }): React.JSX.Element {
  const { trans } = useStudio();
  const signs = { yes: '✓', no: '✗', wait: '○' };
  return (
    <li className={`devstudio-Point devstudio-mod-${props.mark}`} data-testid={props.testid} data-mark={props.mark}>
      <span className="devstudio-PointMark" role="img" aria-label={markName(props.mark, trans)}>
        {signs[props.mark]}
      </span>
      <div>{props.children}</div>
    </li>
  );
}

function Signature({ patch }: { patch: Patch }): React.JSX.Element {
  const { trans, locale } = useStudio();
  const { signature } = patch;
  const { valid, problem, key_id, expires_at } = signature;
  return (
    <Point mark={valid ? 'yes' : 'no'} testid="check-signature">
      {valid ? trans.__('Signed, and the signature is right') : trans.__('The signature does not hold')}
      {problem !== null && problem !== '' && <div>{problem}</div>}
      <div className="devstudio-Faint">
        {key_id !== null && (
          <>
            {trans.__('Key')} <Hash value={key_id} label={trans.__('key id')} testid="patch-key" />
            {' · '}
          </>
        )}
        {expires_at !== null && trans.__('holds until %1', new Date(expires_at).toLocaleString(locale))}
      </div>
    </Point>
  );
}

function Base({ patch, preview }: { patch: Patch; preview: PatchPreview }): React.JSX.Element {
  const { trans } = useStudio();
  if (patch.status === 'applied') {
    return (
      <Point mark="yes" testid="check-base">
        {trans.__('It is on the branch')}
      </Point>
    );
  }
  return (
    <Point mark={preview.base_moved ? 'no' : 'yes'} testid="check-base">
      {preview.base_moved
        ? trans.__('The branch has moved on since the patch was made')
        : trans.__('Made for the newest commit of its branch')}
    </Point>
  );
}

function roleName(role: string, trans: TranslationBundle): string {
  const names: Partial<Record<string, string>> = {
    author: trans.__('wrote it'),
    editor: trans.__('changed it'),
    prompter: trans.__('asked a model for it')
  };
  return names[role] ?? role;
}

/** Who had a hand in the patch: none of them can approve it where somebody else has to. */
function Contributors({ patch }: { patch: Patch }): React.JSX.Element {
  const { trans } = useStudio();
  const access = useAccess();
  const alone = patch.review.required_approvals === 0;
  return (
    <Point mark={alone || patch.status === 'approved' || patch.status === 'applied' ? 'yes' : 'wait'} testid="check-people">
      {alone ? trans.__('Had a hand in it:') : trans.__('Had a hand in it, so somebody else approves:')}
      <ul className="devstudio-People" data-testid="patch-contributors">
        {patch.contributors.map(({ user_id, user_name, roles }) => (
          <li key={user_id}>
            <strong>{user_id === access.me?.user_id ? trans.__('%1 (you)', user_name) : user_name}</strong>{' '}
            {roles.map(role => roleName(role, trans)).join(', ')}
          </li>
        ))}
      </ul>
    </Point>
  );
}

function Approvals({ patch }: { patch: Patch }): React.JSX.Element | null {
  const { trans, locale } = useStudio();
  if (patch.approvals.length === 0) {
    return null;
  }
  return (
    <ul className="devstudio-Approvals" aria-label={trans.__('Approvals')} data-testid="patch-approvals">
      {patch.approvals.map(approval => {
        const { counts, void_reason } = approval;
        return (
          <li key={approval.id} data-counts={counts}>
            {counts ? trans.__('Approved by %1', approval.user_name) : trans.__('%1’s approval', approval.user_name)}{' '}
            {approval.self_reviewed && (
              <Chip tone="warn" title={trans.__('The same person asked for this patch and approved it.')}>
                {trans.__('self-reviewed')}
              </Chip>
            )}
            {!counts && patch.status !== 'applied' && (
              <>
                <Chip tone="bad">{trans.__('void')}</Chip> <span data-testid="patch-approval-void">{void_reason}</span>
              </>
            )}
            <div className="devstudio-Faint">{new Date(approval.created_at).toLocaleString(locale)}</div>
          </li>
        );
      })}
    </ul>
  );
}

import type { Patch } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { PatchModel } from '../model/patch';
import { CommandIds } from '../tokens';
import { Button } from './common';
import { useStudio } from './context';
import { useKeptFocus } from './focus';
import { useMissing } from './permission';

/** Why a patch takes no decision any more. */
function decidedReason(status: Patch['status'], trans: TranslationBundle): string | null {
  const reasons = {
    pending: null,
    approved: trans.__('Already approved'),
    rejected: trans.__('Already rejected'),
    applied: trans.__('Already applied')
  };
  return reasons[status];
}

/** Why somebody else has to approve, which no permission changes. */
function ownReason(model: PatchModel, patch: Patch, trans: TranslationBundle): string | null {
  if (!model.isOwn || patch.review.may_approve || patch.review.required_approvals === 0) {
    return null;
  }
  if (model.ownRoles.includes('prompter')) {
    return trans.__('You prompted this patch, so someone else has to approve it');
  }
  return model.ownRoles.includes('editor')
    ? trans.__('You edited this patch, so someone else has to approve it')
    : trans.__('You made this patch, so someone else has to approve it');
}

/** Why this person cannot approve now; null when they can. */
function approveBlocked(model: PatchModel, patch: Patch, missing: string | null, trans: TranslationBundle): string | null {
  const decided = decidedReason(patch.status, trans) ?? ownReason(model, patch, trans) ?? missing;
  if (decided !== null) {
    return decided;
  }
  if (!model.edits.isEmpty) {
    return trans.__('You changed the text and did not save it. Save or discard it first');
  }
  if (!patch.review.may_approve) {
    return patch.review.why_not ?? trans.__('Your approval would not count');
  }
  return model.canApprove ? null : trans.__('The patch is being loaded');
}

function applyBlocked(model: PatchModel, patch: Patch, missing: string | null, trans: TranslationBundle): string | null {
  if (missing !== null) {
    return missing;
  }
  if (patch.status === 'pending') {
    const { missing: more } = patch.review;
    return more > 1 ? trans.__('%1 approvals are missing', more) : trans.__('Approve the patch first');
  }
  if (patch.status !== 'approved') {
    return decidedReason(patch.status, trans);
  }
  return model.canApply ? null : trans.__('A run is at work');
}

/** The buttons that decide about the patch, each with the reason when it cannot be pressed. */
export function Decision({ model, patch }: { model: PatchModel; patch: Patch }): React.JSX.Element | null {
  if (patch.status === 'applied') {
    return <Revert model={model} />;
  }
  return patch.status === 'rejected' ? null : <Open model={model} patch={patch} />;
}

function Open({ model, patch }: { model: PatchModel; patch: Patch }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const [rejecting, setRejecting] = React.useState(false);
  const decision = useKeptFocus<HTMLDivElement>(rejecting, '[data-testid="patch-reject"]');
  const missing = useMissing();
  const working = model.busy ? trans.__('Working…') : null;
  const pending = patch.status === 'pending';
  const whyNot = approveBlocked(model, patch, missing('approvePatch'), trans);
  const blocked = working ?? applyBlocked(model, patch, missing('applyPatch'), trans);
  return (
    <div ref={decision} className="devstudio-Decision">
      <Button
        kind={pending && whyNot === null ? 'primary' : 'plain'}
        label={trans.__('Approve')}
        title={trans.__('Approve exactly these bytes (Ctrl+Enter)')}
        testid="patch-approve"
        blocked={working ?? whyNot}
        onClick={() => void model.approve()}
      />
      {pending && whyNot !== null && (
        <p className="devstudio-Note" data-testid={model.isOwn ? 'patch-own' : 'patch-approve-missing'}>
          {trans.__('Approve: %1.', whyNot.replace(/\.$/, ''))}
        </p>
      )}
      {model.canWithdraw && (
        <Button
          label={trans.__('Withdraw my approval')}
          testid="patch-withdraw"
          blocked={working}
          onClick={() => void model.withdraw()}
        />
      )}
      <Button
        label={trans.__('Reject…')}
        testid="patch-reject"
        blocked={working ?? missing('rejectPatch')}
        onClick={() => {
          setRejecting(!rejecting);
        }}
      />
      {rejecting && (
        <ReasonForm
          label={trans.__('Why? The next generation reads this.')}
          submitLabel={trans.__('Reject patch')}
          testid="patch-reject"
          blocked={working}
          submit={reason => model.reject(reason)}
          onClose={() => {
            setRejecting(false);
          }}
        />
      )}
      {!rejecting && (
        <Button
          kind={patch.status === 'approved' ? 'primary' : 'plain'}
          label={trans.__('Apply and test')}
          testid="patch-apply"
          blocked={blocked}
          onClick={() => void commands.execute(CommandIds.applyPatch, { patchId: model.id })}
        />
      )}
      {!rejecting && blocked !== null && (
        <p className="devstudio-Faint" data-testid="patch-apply-blocked">
          {trans.__('Apply and test: %1.', blocked)}
        </p>
      )}
    </div>
  );
}

/** Take an applied patch back, by a patch that is reviewed like any other. */
function Revert({ model }: { model: PatchModel }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const [asking, setAsking] = React.useState(false);
  const missing = useMissing();
  const box = useKeptFocus<HTMLDivElement>(asking, '[data-testid="patch-revert"]');
  return (
    <div ref={box} className="devstudio-Decision">
      <Button
        label={trans.__('Revert…')}
        title={trans.__('Make a patch that takes this one back; it is reviewed like any other')}
        testid="patch-revert"
        blocked={model.busy ? trans.__('Working…') : missing('editPatch')}
        onClick={() => {
          setAsking(!asking);
        }}
      />
      {asking && (
        <ReasonForm
          label={trans.__('Why is it taken back?')}
          submitLabel={trans.__('Make the patch')}
          testid="patch-revert"
          blocked={model.busy ? trans.__('Working…') : null}
          submit={async reason => {
            const id = await model.revert(reason);
            if (id !== null) {
              void commands.execute(CommandIds.reviewPatch, { patchId: id });
            }
            return id !== null;
          }}
          onClose={() => {
            setAsking(false);
          }}
        />
      )}
    </div>
  );
}

interface IReasonProps {
  label: string;
  submitLabel: string;
  testid: string;
  blocked: string | null;
  submit: (reason: string) => Promise<boolean>;
  onClose: () => void;
}

/** Asks why before something that should not happen by a slip of the hand. */
function ReasonForm(props: IReasonProps): React.JSX.Element {
  const { trans } = useStudio();
  const [reason, setReason] = React.useState('');
  const submit = async (): Promise<void> => {
    if (await props.submit(reason.trim())) {
      props.onClose();
    }
  };
  return (
    <div className="devstudio-RejectForm">
      <label className="devstudio-Field">
        <span>{props.label}</span>
        <textarea
          autoFocus
          className="jp-mod-styled"
          rows={3}
          maxLength={10_000}
          data-testid={`${props.testid}-reason`}
          value={reason}
          onChange={event => {
            setReason(event.target.value);
          }}
          onKeyDown={event => {
            event.stopPropagation(); // Ctrl+Enter here must not approve
            if (event.key === 'Escape') {
              props.onClose();
            }
          }}
        />
      </label>
      <Button
        kind="danger"
        label={props.submitLabel}
        testid={`${props.testid}-submit`}
        blocked={reason.trim() === '' ? trans.__('Say why first') : props.blocked}
        onClick={() => void submit()}
      />
    </div>
  );
}

import type { Patch, PatchPreview } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { PatchModel } from '../model/patch';
import { isFinal } from '../model/steps';
import { CommandIds } from '../tokens';
import { Button, Chip, ErrorBox, Hash, modelName } from './common';
import { useStudio } from './context';
import { useKeptFocus } from './focus';
import { useAccess, useMissing } from './permission';
import { patchStatusName, runStatusName } from './status';

interface IRailProps {
  model: PatchModel;
  patch: Patch;
  preview: PatchPreview;
}

const TONES = { pending: 'warn', approved: 'info', rejected: 'bad', applied: 'good' } as const;

/** What the patch is, who vouches for it, and the decision. */
export function PatchRail({ model, patch, preview }: IRailProps): React.JSX.Element {
  const { trans, commands } = useStudio();
  const access = useAccess();
  const rail = useKeptFocus<HTMLElement>(patch.status, '[data-testid="open-session"]');
  return (
    <aside ref={rail} tabIndex={-1} className="devstudio-Rail" aria-label={trans.__('Review')}>
      <div className="devstudio-Row">
        <Chip tone={TONES[patch.status]} testid="patch-status" status={patch.status}>
          {patchStatusName(patch.status, trans)}
        </Chip>
        <Button
          label={trans.__('Open session')}
          testid="open-session"
          onClick={() => void commands.execute(CommandIds.showTasks, { taskId: patch.task_id })}
        />
      </div>
      <p className="devstudio-Summary">{patch.summary}</p>
      <dl className="devstudio-Facts">
        {model.task !== null && (
          <>
            <dt>{trans.__('Task')}</dt>
            <dd data-testid="patch-task">
              {model.task.key} {model.task.title}
            </dd>
          </>
        )}
        <dt>{trans.__('Made by')}</dt>
        <dd>{modelName(patch.provider, patch.model, trans)}</dd>
        {access.team && (
          <>
            <dt>{trans.__('Asked for by')}</dt>
            <dd data-testid="patch-author">{model.isOwn ? trans.__('you') : trans.__('a colleague')}</dd>
          </>
        )}
        <dt>{trans.__('Base commit')}</dt>
        <dd>
          <Hash value={preview.base} label={trans.__('base commit')} />
        </dd>
        <dt>{trans.__('Digest')}</dt>
        <dd>
          <Hash value={preview.digest} label={trans.__('digest')} testid="patch-digest" />
        </dd>
        {patch.commit !== null && (
          <>
            <dt>{trans.__('Commit')}</dt>
            <dd>
              <Hash value={patch.commit} label={trans.__('commit')} testid="patch-commit" />
            </dd>
          </>
        )}
      </dl>
      {preview.warnings.length > 0 && (
        <ul className="devstudio-Warnings" aria-label={trans.__('Warnings')} data-testid="patch-warnings">
          {preview.warnings.map(warning => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
      <Approvals patch={patch} />
      {patch.rejected_reason !== null && (
        <p className="devstudio-Note" data-testid="patch-rejected-reason">
          {trans.__('Rejected: %1', patch.rejected_reason)}
        </p>
      )}
      <RunNote model={model} />
      {(patch.status === 'pending' || patch.status === 'approved') && <Decision model={model} patch={patch} />}
      {model.actionError !== null && <ErrorBox error={model.actionError} onRetry={() => void model.refresh()} />}
      {model.error !== null && <ErrorBox error={model.error} onRetry={() => void model.refresh()} />}
    </aside>
  );
}

function Approvals({ patch }: { patch: Patch }): React.JSX.Element | null {
  const { trans } = useStudio();
  if (patch.approvals.length === 0) {
    return null;
  }
  return (
    <ul className="devstudio-Approvals" aria-label={trans.__('Approvals')} data-testid="patch-approvals">
      {patch.approvals.map(approval => (
        <li key={approval.id}>
          {trans.__('Approved by %1', approval.user_name)}{' '}
          {approval.self_reviewed && (
            <Chip tone="warn" title={trans.__('The same person asked for this patch and approved it.')}>
              {trans.__('self-reviewed')}
            </Chip>
          )}
          <div className="devstudio-Faint">{new Date(approval.created_at).toLocaleString()}</div>
        </li>
      ))}
    </ul>
  );
}

function RunNote({ model }: { model: PatchModel }): React.JSX.Element | null {
  const { trans, commands } = useStudio();
  const { run } = model;
  if (run === null) {
    return null;
  }
  const failed = isFinal(run.status) && run.status !== 'success';
  return (
    <div className={failed ? 'devstudio-Note devstudio-mod-bad' : 'devstudio-Note'}>
      <p>
        {isFinal(run.status)
          ? trans.__('Last run: %1. %2', runStatusName(run.status, trans), run.reason ?? '')
          : trans.__('A run applies and tests this patch now.')}
      </p>
      <Button
        label={trans.__('View run')}
        testid="patch-view-run"
        onClick={() => void commands.execute(CommandIds.openRunLogs, { runId: run.id })}
      />
    </div>
  );
}

/** Why a patch that is not pending takes no decision any more. */
function decidedReason(status: Patch['status'], trans: TranslationBundle): string | null {
  const reasons = {
    pending: null,
    approved: trans.__('Already approved'),
    rejected: trans.__('Already rejected'),
    applied: trans.__('Already applied')
  };
  return reasons[status];
}

function applyBlocked(model: PatchModel, patch: Patch, missing: string | null, trans: TranslationBundle): string | null {
  if (missing !== null) {
    return missing;
  }
  if (patch.status === 'pending') {
    return trans.__('Approve the patch first');
  }
  if (patch.status !== 'approved') {
    return decidedReason(patch.status, trans);
  }
  return model.canApply ? null : trans.__('A run is at work');
}

function Decision({ model, patch }: { model: PatchModel; patch: Patch }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const [rejecting, setRejecting] = React.useState(false);
  const [reason, setReason] = React.useState('');
  const decision = useKeptFocus<HTMLDivElement>(rejecting, '[data-testid="patch-reject"]');
  const asking = rejecting && patch.status === 'pending';
  const missing = useMissing();
  const working = model.busy ? trans.__('Working…') : null;
  const decided = working ?? decidedReason(patch.status, trans);
  const blocked = working ?? applyBlocked(model, patch, missing('applyPatch'), trans);
  const pending = patch.status === 'pending';
  const notPermitted = pending ? missing('approvePatch') : null;
  const reject = async (): Promise<void> => {
    if (await model.reject(reason.trim())) {
      setRejecting(false);
      setReason('');
    }
  };
  return (
    <div ref={decision} className="devstudio-Decision">
      {pending && model.isOwn ? (
        <p className="devstudio-Note" data-testid="patch-own">
          {trans.__('You asked for this patch, so someone else has to approve it: a colleague with the permission code:approve.')}
        </p>
      ) : (
        <Button
          kind={pending ? 'primary' : 'plain'}
          label={trans.__('Approve')}
          title={trans.__('Approve exactly these bytes (Ctrl+Enter)')}
          testid="patch-approve"
          blocked={decided ?? notPermitted}
          onClick={() => void model.approve()}
        />
      )}
      <Button
        label={trans.__('Reject…')}
        testid="patch-reject"
        blocked={decided ?? missing('rejectPatch')}
        onClick={() => {
          setRejecting(!rejecting);
        }}
      />
      {asking && (
        <div className="devstudio-RejectForm">
          <label className="devstudio-Field">
            <span>{trans.__('Why? The next generation reads this.')}</span>
            <textarea
              autoFocus
              className="jp-mod-styled"
              rows={3}
              maxLength={10_000}
              data-testid="patch-reject-reason"
              value={reason}
              onChange={event => {
                setReason(event.target.value);
              }}
              onKeyDown={event => {
                event.stopPropagation(); // Ctrl+Enter here must not approve
                if (event.key === 'Escape') {
                  setRejecting(false);
                }
              }}
            />
          </label>
          <Button
            kind="danger"
            label={trans.__('Reject patch')}
            testid="patch-reject-submit"
            blocked={reason.trim() === '' ? trans.__('Say why first') : decided}
            onClick={() => void reject()}
          />
        </div>
      )}
      {!asking && (
        <Button
          kind={patch.status === 'approved' ? 'primary' : 'plain'}
          label={trans.__('Apply and test')}
          testid="patch-apply"
          blocked={blocked}
          onClick={() => void commands.execute(CommandIds.applyPatch, { patchId: model.id })}
        />
      )}
      {notPermitted !== null && !model.isOwn && (
        <p className="devstudio-Faint" data-testid="patch-approve-missing">
          {trans.__('Approve: %1.', notPermitted)}
        </p>
      )}
      {!asking && blocked !== null && (
        <p className="devstudio-Faint" data-testid="patch-apply-blocked">
          {trans.__('Apply and test: %1.', blocked)}
        </p>
      )}
    </div>
  );
}

import type { Patch, PatchPreview } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { PatchModel } from '../model/patch';
import { isFinal } from '../model/steps';
import { CommandIds } from '../tokens';
import { Button, Chip, ErrorBox, Hash, modelName } from './common';
import { useStudio } from './context';
import { useKeptFocus } from './focus';
import { Decision } from './patch-decision';
import { RebaseBox } from './patch-rebase';
import { Revisions } from './patch-revisions';
import { useAccess } from './permission';
import { Checklist } from './review-checklist';
import { ReplayBox } from './review-replay';
import { patchStatusName, runStatusName } from './status';

interface IRailProps {
  model: PatchModel;
  patch: Patch;
  preview: PatchPreview;
}

const TONES = { pending: 'warn', approved: 'info', rejected: 'bad', applied: 'good' } as const;

/** What the patch is and who vouches for it, which scrolls; below it the decision, which stays in sight. */
export function PatchRail({ model, patch, preview }: IRailProps): React.JSX.Element {
  const { trans, commands } = useStudio();
  const rail = useKeptFocus<HTMLElement>(patch.status, '[data-testid="open-session"]');
  return (
    <aside ref={rail} tabIndex={-1} className="devstudio-Rail" aria-label={trans.__('Review')}>
      <div className="devstudio-RailBody">
        <div className="devstudio-RailItems">
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
          {patch.rejected_reason !== null && (
            <p className="devstudio-Note" data-testid="patch-rejected-reason">
              {trans.__('Rejected: %1', patch.rejected_reason)}
            </p>
          )}
          <RunNote model={model} />
          <Facts model={model} patch={patch} preview={preview} />
          {preview.warnings.length > 0 && (
            <ul className="devstudio-Warnings" aria-label={trans.__('Warnings')} data-testid="patch-warnings">
              {preview.warnings.map(warning => (
                <li key={warning}>{warning}</li>
              ))}
            </ul>
          )}
          <RebaseBox model={model} patch={patch} preview={preview} />
          <Checklist patch={patch} preview={preview} />
          <ReplayBox patch={patch} />
          <Revisions model={model} patch={patch} />
        </div>
      </div>
      <div className="devstudio-DecisionBar">
        {model.actionError !== null && <ErrorBox error={model.actionError} onRetry={() => void model.refresh()} />}
        {model.error !== null && <ErrorBox error={model.error} onRetry={() => void model.refresh()} />}
        <Decision model={model} patch={patch} />
      </div>
    </aside>
  );
}

function originName(patch: Patch, trans: TranslationBundle): string {
  const names: Record<Patch['origin'], string> = {
    generated: trans.__('Made by %1', modelName(patch.provider, patch.model, trans)),
    refactored: trans.__('Refactored by %1', modelName(patch.provider, patch.model, trans)),
    template: trans.__('From a template'),
    uploaded: trans.__('Uploaded'),
    revert: trans.__('Takes an applied patch back')
  };
  return names[patch.origin];
}

function Facts({ model, patch, preview }: IRailProps): React.JSX.Element {
  const { trans, commands } = useStudio();
  const access = useAccess();
  const { reverts } = patch;
  return (
    <dl className="devstudio-Facts">
      {model.task !== null && (
        <>
          <dt>{trans.__('Task')}</dt>
          <dd data-testid="patch-task">
            {model.task.key} {model.task.title}
          </dd>
        </>
      )}
      <dt>{trans.__('Origin')}</dt>
      <dd data-testid="patch-origin">
        {originName(patch, trans)}
        {reverts !== null && (
          <>
            {' '}
            <button
              type="button"
              className="devstudio-Link"
              onClick={() => void commands.execute(CommandIds.reviewPatch, { patchId: reverts })}
            >
              {trans.__('Open that patch')}
            </button>
          </>
        )}
      </dd>
      {access.team && (
        <>
          <dt>{trans.__('Asked for by')}</dt>
          <dd data-testid="patch-author">{access.isOwn(patch) ? trans.__('you') : trans.__('a colleague')}</dd>
        </>
      )}
      <dt>{trans.__('For branch')}</dt>
      <dd data-testid="patch-branch">
        <code>{patch.branch}</code>{' '}
        {patch.review.protected ? (
          <Chip tone="info" title={trans.__('The review policy protects this branch.')}>
            {trans.__('protected')}
          </Chip>
        ) : (
          <Chip tone="neutral">{trans.__('not protected')}</Chip>
        )}
      </dd>
      <dt>{trans.__('Base commit')}</dt>
      <dd>
        <Hash value={preview.base} label={trans.__('base commit')} />
      </dd>
      <dt>{trans.__('Digest')}</dt>
      <dd>
        <Hash value={preview.digest} label={trans.__('digest')} testid="patch-digest" />
      </dd>
      <dt>{trans.__('Revision')}</dt>
      <dd data-testid="patch-revision">{patch.revision}</dd>
      {patch.commit !== null && (
        <>
          <dt>{trans.__('Commit')}</dt>
          <dd>
            <Hash value={patch.commit} label={trans.__('commit')} testid="patch-commit" />
          </dd>
        </>
      )}
    </dl>
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

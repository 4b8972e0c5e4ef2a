import type { Run } from '@renum/devstudio-api-client';
import * as React from 'react';

import { runIcon } from '../icons';
import type { RunModel } from '../model/run';
import { isFinal } from '../model/steps';
import { CommandIds, type IDevStudio } from '../tokens';
import { Button, Chip, ErrorBox, Hash, Spinner } from './common';
import { useNow, useStudio } from './context';
import { formatElapsed } from './format';
import { useMissing } from './permission';
import { Leases } from './leases';
import { LogPane } from './run-log';
import { Report } from './run-report';
import { runStatusName, runTypeName } from './status';
import { StudioView } from './view';

/** A run: its live log, and its report when it has ended. */
export class RunView extends StudioView<RunModel> {
  constructor(
    studio: IDevStudio,
    model: RunModel
  ) {
    super(studio, model, {
      id: `devstudio-run-${model.id}`,
      icon: runIcon,
      label: studio.trans.__('Run'),
      className: 'devstudio-Run'
    });
    model.stateChanged.connect(() => {
      if (model.run !== null) {
        this.title.label = studio.trans.__('Run: %1', runStatusName(model.run.status, studio.trans));
        this.title.caption = model.run.reason ?? model.run.id;
      }
    }, this);
  }

  protected override body(): React.JSX.Element {
    return <RunBody model={this.model} />;
  }
}

export const TONES = {
  pending: 'neutral',
  running: 'info',
  success: 'good',
  failed: 'bad',
  cancelled: 'warn',
  timeout: 'bad'
} as const;

function RunBody({ model }: { model: RunModel }): React.JSX.Element {
  const { run } = model;
  if (run === null) {
    return (
      <div className="devstudio-Loading" data-testid="run-view">
        {model.error === null ? <Spinner /> : <ErrorBox error={model.error} onRetry={() => void model.start()} />}
      </div>
    );
  }
  const errors = [
    { error: model.error, retry: () => void model.refresh() },
    { error: model.actionError, retry: () => void model.refresh() },
    { error: model.logError, retry: () => void model.follow() }
  ];
  return (
    <div className="devstudio-RunBody" data-testid="run-view" data-run-id={run.id} data-run-status={run.status}>
      <RunHeader model={model} run={run} />
      <Leases model={model} run={run} />
      {errors.map(({ error, retry }, at) => error !== null && <ErrorBox key={at} error={error} onRetry={retry} />)}
      <div className="devstudio-RunColumns">
        <LogPane model={model} />
        {isFinal(run.status) && <Report model={model} run={run} />}
      </div>
    </div>
  );
}

function RunHeader({ model, run }: { model: RunModel; run: Run }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const now = useNow(model.active);
  const missing = useMissing();
  const again = async (): Promise<void> => {
    const runId = await model.rerun();
    if (runId !== null) {
      await commands.execute(CommandIds.openRunLogs, { runId });
    }
  };
  const started = run.started_at === null ? null : Date.parse(run.started_at);
  const deadline = run.deadline_at === null ? null : Date.parse(run.deadline_at);
  const finished = run.finished_at === null ? now : Date.parse(run.finished_at);
  return (
    <div className="devstudio-Header">
      <div className="devstudio-Row">
        {model.active && <Spinner />}
        <Chip tone={TONES[run.status]} testid="run-status" status={run.status}>
          {runStatusName(run.status, trans)}
        </Chip>
        {run.isolation !== null && (
          <Chip tone={run.isolation === 'process' ? 'warn' : 'neutral'} title={trans.__('What contained this run')} testid="run-isolation">
            {run.isolation}
          </Chip>
        )}
        <span>{run.recipe ?? runTypeName(run.type, trans)}</span>
        {started !== null && (
          <span data-testid="run-elapsed" title={trans.__('How long it has taken')}>
            {formatElapsed(finished - started)}
          </span>
        )}
        {model.active && deadline !== null && (
          <span className="devstudio-Faint" role="timer" data-testid="run-left">
            {trans.__('%1 left', formatElapsed(deadline - now))}
          </span>
        )}
        {run.attempt > 1 && (
          <Chip tone="warn" testid="run-attempt" title={trans.__('It was begun again because the server before died or lost it')}>
            {trans.__('attempt %1', run.attempt)}
          </Chip>
        )}
        {run.exit_code !== null && <span className="devstudio-Faint">{trans.__('exit code %1', run.exit_code)}</span>}
        {run.commit !== null && (
          <span className="devstudio-Faint">
            {trans.__('committed as')} <Hash value={run.commit} label={trans.__('commit')} testid="run-commit" />
          </span>
        )}
      </div>
      {run.reason !== null && (
        <p className="devstudio-RunReason" data-testid="run-reason">
          {run.reason}
        </p>
      )}
      <div className="devstudio-Row">
        {run.task_id !== null && (
          <Button
            kind={run.status === 'success' ? 'primary' : 'plain'}
            label={trans.__('Open session')}
            testid="open-session"
            onClick={() => void commands.execute(CommandIds.showTasks, { taskId: run.task_id })}
          />
        )}
        {run.patch_id !== null && (
          <Button
            label={trans.__('Open patch')}
            testid="run-open-patch"
            onClick={() => void commands.execute(CommandIds.reviewPatch, { patchId: run.patch_id })}
          />
        )}
        <Button
          label={trans.__('All runs')}
          testid="run-all"
          onClick={() => void commands.execute(CommandIds.openRuns, { projectId: run.project_id })}
        />
        {run.patch_id === null && !model.active && (
          <Button
            kind={run.status === 'success' ? 'plain' : 'primary'}
            label={trans.__('Run again')}
            testid="run-rerun"
            blocked={model.starting ? trans.__('Starting…') : missing('startRun')}
            onClick={() => void again()}
          />
        )}
        {model.active && (
          <Button
            kind="danger"
            label={trans.__('Cancel run')}
            testid="run-cancel"
            blocked={model.canceling ? trans.__('Cancelling…') : missing('cancelRun')}
            onClick={() => void model.cancel()}
          />
        )}
      </div>
    </div>
  );
}

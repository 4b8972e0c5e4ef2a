import type { Run } from '@renum/devstudio-api-client';
import * as React from 'react';

import { runIcon } from '../icons';
import type { RunsModel } from '../model/runs';
import { isFinal } from '../model/steps';
import { CommandIds, type IDevStudio } from '../tokens';
import { Button, Chip, Empty, ErrorBox, Spinner } from './common';
import { useNow, useStudio } from './context';
import { formatElapsed } from './format';
import { useMissing } from './permission';
import { TONES } from './run';
import { runStatusName, runTypeName } from './status';
import { StudioView } from './view';

/** The runs of a project, and what starts one. */
export class RunsView extends StudioView<RunsModel> {
  constructor(
    studio: IDevStudio,
    model: RunsModel,
    name: string
  ) {
    super(studio, model, {
      id: `devstudio-runs-${model.projectId ?? 'all'}`,
      icon: runIcon,
      label: studio.trans.__('Runs: %1', name),
      className: 'devstudio-Run'
    });
    this.addClass('devstudio-Runs');
  }

  protected override body(): React.JSX.Element {
    return <Runs model={this.model} />;
  }
}

function Runs({ model }: { model: RunsModel }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const missing = useMissing();
  const now = useNow(model.active.length > 0);
  const { projectId } = model;
  const blocked = model.starting ? trans.__('Starting…') : missing('startRun');
  const start = (command: string): void => void commands.execute(command, { projectId: projectId ?? '' });
  return (
    <div className="devstudio-RunsBody" data-testid="runs-view" data-project-id={projectId ?? ''}>
      <div className="devstudio-Header">
        <div className="devstudio-Row">
          <Button
            kind="primary"
            label={trans.__('Run tests')}
            testid="runs-test"
            blocked={blocked}
            onClick={() => { start(CommandIds.runTests); }}
          />
          <Button label={trans.__('Build')} testid="runs-build" blocked={blocked} onClick={() => { start(CommandIds.runBuild); }} />
          <Button
            label={trans.__('Run command…')}
            testid="runs-command"
            blocked={blocked}
            onClick={() => { start(CommandIds.runCommand); }}
          />
          <Button label={trans.__('Refresh')} testid="runs-refresh" onClick={() => void model.refresh()} />
        </div>
      </div>
      {model.actionError !== null && <ErrorBox error={model.actionError} />}
      {model.error !== null && <ErrorBox error={model.error} onRetry={() => void model.refresh()} />}
      {!model.loaded && model.error === null && (
        <div className="devstudio-Loading">
          <Spinner />
        </div>
      )}
      {model.loaded && model.runs.length === 0 && (
        <Empty text={trans.__('Nothing ran in this project yet. Its tests run in a sandbox, on what is committed.')}>
          <Button
            kind="primary"
            label={trans.__('Run tests')}
            testid="empty-run-tests"
            blocked={blocked}
            onClick={() => { start(CommandIds.runTests); }}
          />
        </Empty>
      )}
      {model.runs.length > 0 && (
        <table className="devstudio-RunTable">
          <thead>
            <tr>
              <th>{trans.__('Status')}</th>
              <th>{trans.__('What')}</th>
              <th>{trans.__('Begun')}</th>
              <th>{trans.__('Took')}</th>
              <th>{trans.__('Reason')}</th>
            </tr>
          </thead>
          <tbody>
            {model.runs.map(run => (
              <RunRow key={run.id} run={run} now={now} />
            ))}
          </tbody>
        </table>
      )}
      {model.hasMore && <Button label={trans.__('Older runs')} testid="runs-more" onClick={() => void model.loadMore()} />}
    </div>
  );
}

function RunRow({ run, now }: { run: Run; now: number }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const missing = useMissing();
  return (
    <tr data-testid="run-row" data-run-id={run.id} data-run-status={run.status}>
      <td>
        <Chip tone={TONES[run.status]}>{runStatusName(run.status, trans)}</Chip>
      </td>
      <td>
        <button
          type="button"
          className="devstudio-Link"
          data-testid="run-open"
          aria-disabled={missing('openRun') !== null}
          title={missing('openRun') ?? (run.argv ?? []).join(' ')}
          onClick={() => void commands.execute(CommandIds.openRunLogs, { runId: run.id })}
        >
          {run.recipe === null ? runTypeName(run.type, trans) : `${runTypeName(run.type, trans)}: ${run.recipe}`}
        </button>
        {run.attempt > 1 && <span className="devstudio-Faint">{trans.__(' attempt %1', run.attempt)}</span>}
      </td>
      <td className="devstudio-Faint">{new Date(run.created_at).toLocaleString()}</td>
      <td className="devstudio-Number">{tookOf(run, now)}</td>
      <td className="devstudio-RunReason">{run.reason ?? ''}</td>
    </tr>
  );
}

function tookOf(run: Run, now: number): string {
  if (run.started_at === null) {
    return '';
  }
  return formatElapsed((run.finished_at === null ? now : Date.parse(run.finished_at)) - Date.parse(run.started_at));
}

/** The runs that go on now, for the panel; nothing while there are none. */
export function ActiveRuns({ model }: { model: RunsModel }): React.JSX.Element | null {
  const { trans, commands } = useStudio();
  const now = useNow(model.active.length > 0);
  const [, setTurn] = React.useState(0);
  React.useEffect(() => {
    const onChange = (): void => {
      setTurn(turn => turn + 1);
    };
    model.stateChanged.connect(onChange);
    return () => {
      model.stateChanged.disconnect(onChange);
    };
  }, [model]);
  if (model.active.length === 0) {
    return null;
  }
  return (
    <section className="devstudio-ActiveRuns" aria-label={trans.__('Active runs')} data-testid="active-runs">
      <h3>{trans.__('Active runs')}</h3>
      <ul>
        {model.active.map(run => (
          <li key={run.id} className="devstudio-Row" data-testid="active-run">
            <Spinner />
            <button
              type="button"
              className="devstudio-Link"
              onClick={() => void commands.execute(CommandIds.openRunLogs, { runId: run.id })}
            >
              {run.recipe ?? runTypeName(run.type, trans)}
            </button>
            <span className="devstudio-Faint">
              {isFinal(run.status) || run.started_at === null ? runStatusName(run.status, trans) : tookOf(run, now)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

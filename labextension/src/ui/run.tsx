import { VDomRenderer } from '@jupyterlab/ui-components';
import type { Run, TestOutcome } from '@renum/devstudio-api-client';
import * as React from 'react';

import { runIcon } from '../icons';
import type { ILogPiece, RunModel } from '../model/run';
import { isFinal } from '../model/steps';
import { CommandIds, type IDevStudio } from '../tokens';
import { Button, Chip, ErrorBox, Hash, Spinner } from './common';
import { StudioProvider, useNow, useStudio } from './context';
import { formatElapsed } from './format';
import { useMissing } from './permission';
import { runStatusName } from './status';

/** A run: its live log, and its report when it has ended. */
export class RunView extends VDomRenderer<RunModel> {
  constructor(
    private readonly studio: IDevStudio,
    model: RunModel
  ) {
    super(model);
    this.id = `devstudio-run-${model.id}`;
    this.title.icon = runIcon;
    this.title.label = studio.trans.__('Run');
    this.title.closable = true;
    this.addClass('devstudio-Run');
    this.node.tabIndex = -1;
    model.stateChanged.connect(() => {
      if (model.run !== null) {
        this.title.label = studio.trans.__('Run: %1', runStatusName(model.run.status, studio.trans));
        this.title.caption = model.run.reason ?? model.run.id;
      }
    }, this);
  }

  override dispose(): void {
    const { model } = this;
    super.dispose();
    model.dispose();
  }

  protected override onActivateRequest(): void {
    this.node.focus(); // makes this the current tab
  }

  protected override render(): React.JSX.Element {
    return (
      <StudioProvider value={this.studio}>
        <RunBody model={this.model} />
      </StudioProvider>
    );
  }
}

const TONES = {
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
      {errors.map(({ error, retry }, at) => error !== null && <ErrorBox key={at} error={error} onRetry={retry} />)}
      <div className="devstudio-RunColumns">
        <LogPane model={model} />
        {isFinal(run.status) && <Tests tests={run.tests} />}
      </div>
    </div>
  );
}

function RunHeader({ model, run }: { model: RunModel; run: Run }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const now = useNow(model.active);
  const missing = useMissing();
  const started = run.started_at === null ? null : Date.parse(run.started_at);
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
        {started !== null && <span data-testid="run-elapsed">{formatElapsed(finished - started)}</span>}
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

/** One piece of the log; it never changes, so React leaves its text node alone. */
const Piece = React.memo(function Piece({ piece }: { piece: ILogPiece }) {
  return <>{piece.text}</>;
});

/** The log, following its end until someone scrolls up. */
function LogPane({ model }: { model: RunModel }): React.JSX.Element {
  const { trans } = useStudio();
  const pane = React.useRef<HTMLPreElement>(null);
  const last = React.useRef({ top: 0, height: 0, width: 0 });
  const [following, setFollowing] = React.useState(true);
  const { pieces } = model;

  React.useLayoutEffect(() => {
    const node = pane.current;
    if (!following || node === null) {
      return undefined;
    }
    const toEnd = (): void => {
      node.scrollTop = node.scrollHeight;
    };
    toEnd();
    const observer = new ResizeObserver(toEnd); // the report beside the log makes it narrower
    observer.observe(node);
    return () => {
      observer.disconnect();
    };
  }, [pieces, following]);

  const onScroll = (node: HTMLElement): void => {
    const now = { top: node.scrollTop, height: node.scrollHeight, width: node.clientWidth };
    const { top, height, width } = last.current;
    last.current = now;
    if (now.height - now.top - node.clientHeight < 24) {
      setFollowing(true);
    } else if (now.top < top && now.height === height && now.width === width) {
      setFollowing(false); // a person moved up; a new layout moves too, but is no wish
    }
  };

  return (
    <section className="devstudio-LogBox" aria-label={trans.__('Log')}>
      {model.truncated && <p className="devstudio-Note">{trans.__('The start of this long log is not shown.')}</p>}
      <pre
        ref={pane}
        className="devstudio-Log"
        data-testid="run-log"
        role="log"
        aria-live="off"
        tabIndex={0}
        onScroll={event => {
          onScroll(event.currentTarget);
        }}
      >
        {pieces.map(piece => (
          <Piece key={piece.id} piece={piece} />
        ))}
        {pieces.length === 0 && (
          <span className="devstudio-Faint">
            {model.active ? trans.__('Waiting for the first line…') : trans.__('This run wrote nothing.')}
          </span>
        )}
      </pre>
      <div className="devstudio-Row devstudio-LogFoot" role="status">
        {model.reconnecting && <span>{trans.__('Connection lost; resuming…')}</span>}
        {!following && (
          <Button
            label={trans.__('Follow the end')}
            testid="run-follow"
            onClick={() => {
              setFollowing(true);
            }}
          />
        )}
      </div>
    </section>
  );
}

const OUTCOMES: Record<string, 'good' | 'bad' | 'warn'> = { passed: 'good', failed: 'bad', error: 'bad' };

function Tests({ tests }: { tests: readonly TestOutcome[] }): React.JSX.Element {
  const { trans } = useStudio();
  const passed = tests.filter(test => test.outcome === 'passed').length;
  return (
    <section className="devstudio-Tests" aria-label={trans.__('Tests')} data-testid="run-tests">
      <h3>{tests.length === 0 ? trans.__('Tests') : trans.__('%1 of %2 tests passed', passed, tests.length)}</h3>
      {tests.length === 0 && <p className="devstudio-Faint">{trans.__('The run reported no tests.')}</p>}
      {tests.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>{trans.__('Outcome')}</th>
              <th>{trans.__('Test')}</th>
              <th>{trans.__('Proves')}</th>
            </tr>
          </thead>
          <tbody>
            {tests.map((test, at) => (
              <tr key={`${test.name}-${String(at)}`} data-testid="run-test" data-outcome={test.outcome}>
                <td>
                  <Chip tone={OUTCOMES[test.outcome] ?? 'warn'}>{test.outcome}</Chip>
                </td>
                <td>
                  <div className="devstudio-TestName">{test.name}</div>
                  {test.file != null && (
                    <div className="devstudio-Faint">
                      {test.line == null ? test.file : `${test.file}:${String(test.line)}`}
                    </div>
                  )}
                  {test.message !== undefined && test.message !== '' && <pre>{test.message}</pre>}
                </td>
                <td>{test.criteria.join(', ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

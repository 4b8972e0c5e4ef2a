import type { CriterionEvidence, EvidenceEntry, Task } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { EvidenceModel, type IStanding } from '../model/evidence';
import { CommandIds } from '../tokens';
import { Button, Chip, ErrorBox, Hash, Spinner } from './common';
import { useStudio } from './context';
import { useMissing } from './permission';

type State = CriterionEvidence['state'];

const TONES = { proven: 'good', lost: 'bad', missing: 'neutral' } as const;

function stateName(state: State, trans: TranslationBundle): string {
  const names = { proven: trans.__('proven'), lost: trans.__('lost'), missing: trans.__('not proven') };
  return names[state];
}

/** A criterion's key with its state, in a sign and in words for those who do not see it. */
export function CriterionChip(props: { name: string; text: string; standing: IStanding }): React.JSX.Element {
  const { trans } = useStudio();
  const { state, why } = props.standing;
  const signs = { proven: '✓ ', lost: '✗ ', missing: '' };
  return (
    <Chip
      tone={TONES[state]}
      title={[stateName(state, trans), why, props.text].filter(text => text !== '').join('\n')}
      testid="task-criterion"
      status={state}
    >
      {signs[state]}
      {props.name}
      {state === 'lost' && ` ${stateName(state, trans)}`}
      {state !== 'lost' && <span className="devstudio-Unseen"> {stateName(state, trans)}</span>}
    </Chip>
  );
}

/** What proves each criterion of a task, or why nothing does; loaded when it is opened. */
export function EvidencePanel({ task }: { task: Task }): React.JSX.Element {
  const { trans } = useStudio();
  const [open, setOpen] = React.useState(false);
  const id = React.useId();
  return (
    <div className="devstudio-Evidence">
      <button
        type="button"
        className="devstudio-Link"
        data-testid="evidence-toggle"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => {
          setOpen(!open);
        }}
      >
        {open ? trans.__('Hide the evidence') : trans.__('Evidence')}
      </button>
      {open && (
        <section id={id} aria-label={trans.__('Evidence of task %1', task.key)} data-testid="evidence-panel">
          <Opened task={task} />
        </section>
      )}
    </div>
  );
}

function Opened({ task }: { task: Task }): React.JSX.Element {
  const { trans, client, changes, commands } = useStudio();
  const missing = useMissing();
  const model = React.useMemo(() => new EvidenceModel(task.id, client, changes), [task.id, client, changes]);
  const [, setTurn] = React.useState(0);
  React.useEffect(() => {
    model.stateChanged.connect(() => {
      setTurn(turn => turn + 1);
    });
    void model.refresh();
    return () => {
      model.dispose();
    };
  }, [model]);
  const { evidence, error } = model;
  if (evidence === null) {
    return error === null ? <Spinner /> : <ErrorBox error={error} onRetry={() => void model.refresh()} />;
  }
  return (
    <>
      {evidence.criteria.length === 0 && <p className="devstudio-Faint">{trans.__('The task names no criterion.')}</p>}
      <ul className="devstudio-EvidenceList">
        {evidence.criteria.map(criterion => (
          <CriterionItem key={criterion.key} criterion={criterion} />
        ))}
      </ul>
      <Button
        label={trans.__('Export bundle')}
        title={trans.__('Everything that proves this task in one file, which verifies without this server')}
        testid="evidence-export"
        blocked={missing('exportEvidence')}
        onClick={() => void commands.execute(CommandIds.exportEvidence, { taskId: task.id })}
      />
    </>
  );
}

function CriterionItem({ criterion }: { criterion: CriterionEvidence }): React.JSX.Element {
  const { trans } = useStudio();
  const { key, state, text, why, proof, history } = criterion;
  return (
    <li data-testid="evidence-criterion" data-key={key} data-state={state}>
      <div className="devstudio-Row">
        <strong>{key}</strong>
        <Chip tone={TONES[state]}>{stateName(state, trans)}</Chip>
        {proof?.strict === true && (
          <Chip tone="info" title={trans.__('These tests were seen to fail without the patch.')}>
            {trans.__('strict')}
          </Chip>
        )}
      </div>
      <p className="devstudio-CriterionText">
        {text === null ? trans.__('The requirements do not have this criterion.') : <WithCode text={text} />}
      </p>
      <p data-testid="evidence-why">
        <WithCode text={why} />
      </p>
      {proof !== null && <EntryFacts entry={proof} />}
      {history.length > 0 && (
        <details>
          <summary>{trans._n('%1 entry in its history', '%1 entries in its history', history.length)}</summary>
          <ol className="devstudio-History">
            {history.map(entry => (
              <li key={`${entry.run_id}${entry.outcome}${entry.at}`}>
                {new Date(entry.at).toLocaleString()}: {outcomeName(entry, trans)}
                {entry.why !== '' && `. ${entry.why}`}{' '}
                <RunLink runId={entry.run_id} label={trans.__('Run')} testid="evidence-history-run" />
              </li>
            ))}
          </ol>
        </details>
      )}
    </li>
  );
}

/** A sentence in which names of tests and other code stand between backticks. */
function WithCode({ text }: { text: string }): React.JSX.Element {
  const parts = text.split('`');
  if (parts.length % 2 === 0) {
    return <>{text}</>; // one of them is part of the code
  }
  return <>{parts.map((part, at) => (at % 2 === 0 ? part : <code key={at}>{part}</code>))}</>;
}

function outcomeName({ outcome, present }: EvidenceEntry, trans: TranslationBundle): string {
  const names = { proven: trans.__('proven'), failed: trans.__('failed') };
  return present ? names[outcome] : trans.__('%1, with an earlier text', names[outcome]);
}

function EntryFacts({ entry }: { entry: EvidenceEntry }): React.JSX.Element {
  const { trans } = useStudio();
  return (
    <dl className="devstudio-Facts">
      <dt>{trans.__('Run')}</dt>
      <dd>
        <RunLink runId={entry.run_id} label={trans.__('Open the run')} testid="evidence-run" />{' '}
        <span className="devstudio-Faint">{new Date(entry.at).toLocaleString()}</span>
      </dd>
      {entry.base_run_id !== null && (
        <>
          <dt>{trans.__('Without the patch')}</dt>
          <dd>
            <RunLink runId={entry.base_run_id} label={trans.__('Open the run that failed')} testid="evidence-base-run" />
          </dd>
        </>
      )}
      <dt>{trans.__('Commit')}</dt>
      <dd>
        <Hash value={entry.commit} label={trans.__('commit')} testid="evidence-commit" />
        {entry.branch !== null && ` ${trans.__('on %1', entry.branch)}`}
      </dd>
      {entry.tree !== null && (
        <>
          <dt>{trans.__('Tree')}</dt>
          <dd>
            <Hash value={entry.tree} label={trans.__('tree')} />
          </dd>
        </>
      )}
      {entry.tests.length > 0 && (
        <>
          <dt>{trans.__('Tests')}</dt>
          <dd>
            <ul>
              {entry.tests.map(test => (
                <li key={test} className="devstudio-TestName">
                  {test}
                </li>
              ))}
            </ul>
          </dd>
        </>
      )}
    </dl>
  );
}

function RunLink(props: { runId: string; label: string; testid: string }): React.JSX.Element {
  const { commands } = useStudio();
  const blocked = useMissing()('openRun');
  return (
    <button
      type="button"
      className="devstudio-Link"
      data-testid={props.testid}
      aria-disabled={blocked !== null}
      title={blocked ?? props.runId}
      onClick={() => {
        if (blocked === null) {
          void commands.execute(CommandIds.openRunLogs, { runId: props.runId });
        }
      }}
    >
      {props.label}
    </button>
  );
}

import type { Task } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Deed } from '../model/access';
import { standings } from '../model/evidence';
import type { SessionModel } from '../model/session';
import { isFinal, nextStep, runIdOf, type Step } from '../model/steps';
import { CommandIds } from '../tokens';
import { Button, Chip, Empty, ErrorBox, Hash, UsageLine } from './common';
import { useStudio } from './context';
import { useKeptFocus } from './focus';
import { CriterionChip, EvidencePanel } from './evidence';
import { FixRounds } from './fix-rounds';
import { StartBox } from './start-box';
import { useAccess, useMissing } from './permission';
import { Leftover, ProgressLine } from './progress';
import { taskStatusName } from './status';

/** The tasks in the document's order, each with what proves it and the button of its next step. */
export function TasksBox({ model, aiModel }: { model: SessionModel; aiModel: string }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const missing = useMissing();
  const tasks = model.tasks?.items ?? [];
  return (
    <section className="devstudio-Box" aria-label={trans.__('Tasks')} data-testid="task-list" tabIndex={-1}>
      <h3>{trans.__('Tasks')}</h3>
      {tasks.length === 0 && model.tasks !== null && (
        <Empty text={trans.__('No tasks yet. Plan writes them from the requirements.')}>
          <Button
            label={trans.__('Plan the tasks')}
            testid="empty-plan"
            blocked={missing('plan')}
            onClick={() => void commands.execute(CommandIds.plan, { sessionId: model.id })}
          />
        </Empty>
      )}
      <ol className="devstudio-Tasks">
        {tasks.map(task => (
          <TaskItem key={task.id} model={model} task={task} aiModel={aiModel} />
        ))}
      </ol>
    </section>
  );
}

const TONES = { todo: 'neutral', in_progress: 'info', review: 'warn', done: 'good' } as const;

function stepName(step: Step, trans: TranslationBundle): string {
  const names = {
    generate: trans.__('Generate code'),
    regenerate: trans.__('Generate again'),
    review: trans.__('Review patch'),
    apply: trans.__('Apply and test'),
    watch: trans.__('Watch run'),
    'view-run': trans.__('View run')
  };
  return names[step];
}

/** What the button of a step does; reading a patch needs no more than seeing its task. */
function deedOf(step: Step): Deed | null {
  const deeds: Record<Step, Deed | null> = {
    generate: 'generateCode',
    regenerate: 'generateCode',
    review: null,
    apply: 'applyPatch',
    watch: 'openRun',
    'view-run': 'openRun'
  };
  return deeds[step];
}

interface ITaskProps {
  model: SessionModel;
  task: Task;
  aiModel: string;
}

function TaskItem({ model, task, aiModel }: ITaskProps): React.JSX.Element {
  const { trans } = useStudio();
  const generation = model.generationOf(task.id);
  const { work, result } = generation;
  const item = useKeptFocus<HTMLLIElement>(work.running, '[data-testid="task-primary"]');
  return (
    <li ref={item} tabIndex={-1} className="devstudio-Task" data-testid="task-item" data-task-key={task.key} data-task-status={task.status}>
      <div className="devstudio-TaskHead">
        <span className="devstudio-TaskKey">{task.key}</span>
        <span className="devstudio-TaskTitle">
          {task.title}
          {task.optional && <span className="devstudio-Faint"> {trans.__('(optional)')}</span>}
        </span>
        {isSuspect(task) && (
          <Chip tone="bad" testid="task-suspect" title={trans.__('Something that was proven is not any more.')}>
            {trans.__('Suspect')}
          </Chip>
        )}
        <Chip tone={TONES[task.status]} testid="task-status" status={task.status}>
          {taskStatusName(task.status, trans)}
        </Chip>
      </div>
      {task.status_reason !== '' && (
        <p className="devstudio-Faint" data-testid="task-reason">
          {reasonOf(task, trans)}
        </p>
      )}
      <Criteria model={model} task={task} />
      {task.criteria.length > 0 && <EvidencePanel task={task} />}
      <FailureNote model={model} task={task} />
      {work.running ? (
        <ProgressLine operation={work} testid="task-progress" />
      ) : (
        <TaskActions model={model} task={task} aiModel={aiModel} />
      )}
      <FixRounds model={model} generation={generation} />
      <Leftover operation={work} />
      {work.error !== null && <ErrorBox error={work.error} />}
      {result !== null && <UsageLine usage={result.usage} testid="task-usage" />}
    </li>
  );
}

function isSuspect(task: Task): boolean {
  return (task.evidence?.lost ?? []).length > 0;
}

/** Why the task stands where it stands. */
function reasonOf(task: Task, trans: TranslationBundle): string {
  if (task.status === 'done') {
    return trans.__('Done because: %1', task.status_reason);
  }
  return isSuspect(task) ? trans.__('Suspect because: %1', task.status_reason) : task.status_reason;
}

/** The criteria that a task names, each with where it stands. */
function Criteria({ model, task }: { model: SessionModel; task: Task }): React.JSX.Element | null {
  const { trans } = useStudio();
  const criteria = model.tasks?.criteria ?? [];
  const texts = new Map(criteria.map(({ key, text }) => [key, text]));
  const found = standings(task, new Set(criteria.filter(({ proven }) => proven).map(({ key }) => key)));
  if (task.criteria.length === 0) {
    return null;
  }
  return (
    <div className="devstudio-Row" aria-label={trans.__('Criteria')}>
      {[...found].map(([key, standing]) => (
        <CriterionChip key={key} name={key} text={texts.get(key) ?? ''} standing={standing} />
      ))}
    </div>
  );
}

/** Why the newest run did not get the task done, unless the status says so already. */
function FailureNote({ model, task }: { model: SessionModel; task: Task }): React.JSX.Element | null {
  const { trans } = useStudio();
  const run = model.runOf(task.id);
  const reason = run?.reason ?? '';
  if (run === null || run.status === 'success' || !isFinal(run.status) || task.status_reason.includes(reason)) {
    return null;
  }
  return (
    <p className="devstudio-Note devstudio-mod-bad" data-testid="task-note">
      {trans.__('The last run did not pass: %1', reason)}
    </p>
  );
}

function TaskActions({ model, task, aiModel }: ITaskProps): React.JSX.Element {
  const { trans, commands } = useStudio();
  const [instructions, setInstructions] = React.useState('');
  const [asking, setAsking] = React.useState(false);
  const [applying, setApplying] = React.useState(false);
  const access = useAccess();
  const missing = useMissing();
  const generation = model.generationOf(task.id);
  const patch = model.patchOf(task.id);
  const step = nextStep(task, patch, model.runOf(task.id));
  const runId = step === 'watch' ? (patch?.run_id ?? null) : runIdOf(task, patch);
  const execute = (id: string, args: Record<string, string>): Promise<unknown> => commands.execute(id, args);

  const go = async (): Promise<void> => {
    if (step === 'generate' || step === 'regenerate') {
      await generation.ask(instructions, aiModel);
    } else if (step === 'review' && patch !== null) {
      await execute(CommandIds.reviewPatch, { patchId: patch.id });
    } else if (step === 'apply' && patch !== null) {
      setApplying(true);
      await execute(CommandIds.applyPatch, { patchId: patch.id }).finally(() => {
        setApplying(false);
      });
    } else if (runId !== null) {
      await execute(CommandIds.openRunLogs, { runId });
    }
  };
  const start = async (): Promise<void> => {
    await execute(CommandIds.generateCode, { sessionId: model.id, taskId: task.id, instructions });
    setInstructions('');
    setAsking(false);
  };
  const generates = step === 'generate' || step === 'regenerate';
  const onlyReads = step === 'review' && patch !== null && (missing('approvePatch') !== null || access.isOwn(patch));
  const notPermitted = missing(deedOf(step));
  const blocked = applying
    ? trans.__('The run is being queued')
    : step === 'view-run' && runId === null
      ? trans.__('This task was not run')
      : notPermitted;
  const dirty = generates && model.draftOf('requirements') !== null;

  return (
    <>
      {asking && generates && (
        <label className="devstudio-Field">
          <span>{trans.__('Instructions for this task')}</span>
          <textarea
            className="jp-mod-styled"
            rows={2}
            data-testid="task-instructions"
            value={instructions}
            onChange={event => {
              setInstructions(event.target.value);
            }}
          />
        </label>
      )}
      {dirty && <p className="devstudio-Note">{trans.__('The requirements have unsaved changes; code is made from the saved text.')}</p>}
      {generates && generation.asking && (
        <StartBox
          generation={generation}
          onStart={() => void start()}
          onRetry={() => void generation.ask(instructions, aiModel)}
        />
      )}
      <div className="devstudio-Row">
        <Button
          kind={(generates && generation.asking) || step === 'view-run' || onlyReads ? 'plain' : 'primary'}
          label={stepName(step, trans)}
          testid="task-primary"
          blocked={blocked}
          onClick={() => void go()}
        />
        {generates && !asking && notPermitted === null && (
          <Button
            label={trans.__('Add instructions')}
            testid="task-add-instructions"
            onClick={() => {
              setAsking(true);
            }}
          />
        )}
        {generates && (
          <Button
            label={trans.__('Upload patch…')}
            testid="task-upload-patch"
            blocked={missing('uploadPatch')}
            onClick={() => void execute(CommandIds.uploadPatch, { sessionId: model.id, taskId: task.id })}
          />
        )}
        {patch !== null && step !== 'review' && (
          <Button
            label={trans.__('Open patch')}
            testid="task-open-patch"
            onClick={() => void execute(CommandIds.reviewPatch, { patchId: patch.id })}
          />
        )}
        {runId !== null && step !== 'view-run' && step !== 'watch' && (
          <Button
            label={trans.__('View run')}
            testid="task-view-run"
            onClick={() => void execute(CommandIds.openRunLogs, { runId })}
          />
        )}
        {task.evidence !== null && (
          <span className="devstudio-Faint" data-testid="task-evidence">
            {trans.__('proven on commit')} <Hash value={task.evidence.commit} label={trans.__('commit')} />
          </span>
        )}
      </div>
    </>
  );
}

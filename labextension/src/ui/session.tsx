import type { IEditorFactoryService } from '@jupyterlab/codeeditor';
import * as React from 'react';

import { sessionIcon } from '../icons';
import { DOCUMENTS, type SessionModel } from '../model/session';
import { countDone } from '../model/steps';
import { CommandIds, type IDevStudio } from '../tokens';
import { Button, ErrorBox, Spinner } from './common';
import { useStudio } from './context';
import { useMissing } from './permission';
import { DocumentsPane } from './session-documents';
import { PlanBox } from './session-plan';
import { CoverageBox } from './session-lint';
import { TasksBox } from './session-tasks';
import { documentName, documentStatusName } from './status';
import { ConflictsPane, SyncBar } from './sync';
import { StudioView } from './view';

/** A session in the main area. */
export class SessionView extends StudioView<SessionModel> {
  /** The model that the person chose for this session; empty while the server's default stands. */
  aiModel = '';

  constructor(
    studio: IDevStudio,
    model: SessionModel,
    private readonly editors: IEditorFactoryService
  ) {
    super(studio, model, {
      id: `devstudio-session-${model.id}`,
      icon: sessionIcon,
      label: studio.trans.__('Session'),
      className: 'devstudio-Session'
    });
    model.stateChanged.connect(() => {
      if (model.session !== null) {
        this.title.label = model.session.title;
        this.title.caption = model.session.description ?? model.session.title;
      }
    }, this);
    studio.model.stateChanged.connect(() => {
      this.update();
    }, this);
  }

  /** Bring a part of the view into sight and focus it, as soon as the session is there. */
  reveal(part: Part): void {
    this.wanted = part;
    this.update();
  }

  protected override body(): React.JSX.Element {
    const aiModel = this.aiModel === '' ? (this.studio.model.defaultModel?.id ?? '') : this.aiModel;
    return (
      <SessionBody
        model={this.model}
        editors={this.editors}
        aiModel={aiModel}
        onAiModel={id => {
          this.aiModel = id;
          this.update();
        }}
        wanted={this.wanted}
        onRevealed={() => {
          this.wanted = null;
        }}
      />
    );
  }

  private wanted: Part | null = null;
}

/** A part of the view that a command leads to. */
type Part = 'plan' | 'tasks';

const FOCUS = { plan: 'plan-prompt', tasks: 'task-list' } as const;

interface IBodyProps {
  model: SessionModel;
  editors: IEditorFactoryService;
  aiModel: string;
  onAiModel: (id: string) => void;
  wanted: Part | null;
  onRevealed: () => void;
}

function SessionBody({ model, editors, aiModel, onAiModel, wanted, onRevealed }: IBodyProps): React.JSX.Element {
  const body = React.useRef<HTMLDivElement>(null);
  const loaded = model.session !== null;
  React.useEffect(() => {
    const node = wanted === null ? null : body.current?.querySelector<HTMLElement>(`[data-testid="${FOCUS[wanted]}"]`);
    if (node != null) {
      node.scrollIntoView({ block: wanted === 'tasks' ? 'start' : 'nearest' });
      node.focus();
      onRevealed();
    }
  }, [wanted, loaded, onRevealed]);
  const retry = (): void => void model.refresh();
  if (model.session === null) {
    return (
      <div className="devstudio-Loading" data-testid="session-view">
        {model.error === null ? <Spinner /> : <ErrorBox error={model.error} onRetry={retry} />}
      </div>
    );
  }
  return (
    <div ref={body} className="devstudio-SessionBody" data-testid="session-view" data-session-id={model.id}>
      <SessionHeader model={model} />
      {model.error !== null && <ErrorBox error={model.error} onRetry={retry} />}
      <ConflictsPane model={model} />
      <div className="devstudio-Columns">
        <DocumentsPane model={model} editors={editors} />
        <div className="devstudio-Side">
          <PlanBox model={model} aiModel={aiModel} onAiModel={onAiModel} />
          <TasksBox model={model} aiModel={aiModel} />
          <CoverageBox model={model} />
        </div>
      </div>
    </div>
  );
}

function SessionHeader({ model }: { model: SessionModel }): React.JSX.Element | null {
  const { trans, commands } = useStudio();
  const missing = useMissing();
  const { session, project } = model;
  if (session === null) {
    return null;
  }
  const tasks = model.tasks?.items ?? [];
  const done = countDone(tasks);
  return (
    <div className="devstudio-Header">
      <div className="devstudio-HeaderTitle">
        <h2 title={session.title}>{session.title}</h2>
        <span className="devstudio-Faint">{project?.name}</span>
      </div>
      <ol className="devstudio-Phases" aria-label={trans.__('Phases')}>
        {DOCUMENTS.map(kind => {
          const { version, status = 'draft', status_reason } = session.documents[kind];
          const name = documentName(kind, trans);
          return (
            <li
              key={kind}
              className={version > 0 ? 'devstudio-mod-written' : ''}
              data-testid={`phase-${kind}`}
              data-status={version > 0 ? status : 'empty'}
              title={status_reason ?? ''}
            >
              <span className="devstudio-Phase" aria-hidden="true">
                {name.charAt(0)}
              </span>{' '}
              {name}{' '}
              <span className="devstudio-Faint">
                {version > 0 ? `${trans.__('v%1', version)} · ${documentStatusName(status, trans)}` : trans.__('empty')}
              </span>
            </li>
          );
        })}
      </ol>
      <div className="devstudio-Row" data-testid="session-progress">
        {tasks.length > 0 && (
          <>
            <progress value={done} max={tasks.length} aria-label={trans.__('Tasks done')} />
            <span>{trans.__('%1 of %2 tasks done', done, tasks.length)}</span>
          </>
        )}
        <SyncBar model={model} />
        <Button
          label={trans.__('Open notebook')}
          testid="open-notebook"
          title={session.notebook_path}
          onClick={() => void commands.execute(CommandIds.openNotebook, { sessionId: model.id })}
        />
        <Button
          label={trans.__('AI settings…')}
          testid="ai-settings"
          blocked={missing('setAgentSettings')}
          onClick={() => void commands.execute(CommandIds.aiSettings, { projectId: session.project_id })}
        />
        <Button label={trans.__('Refresh')} testid="session-refresh" onClick={() => void model.refresh()} />
      </div>
    </div>
  );
}

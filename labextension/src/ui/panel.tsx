import { LabIcon, VDomRenderer, caretDownIcon, caretRightIcon, refreshIcon } from '@jupyterlab/ui-components';
import type { Project, SessionSummary } from '@renum/devstudio-api-client';
import * as React from 'react';

import { devstudioIcon, projectIcon, runIcon, sessionIcon } from '../icons';
import { RunsModel } from '../model/runs';
import { DOCUMENTS } from '../model/session';
import type { StudioModel } from '../model/studio';
import { CommandIds, type IDevStudio } from '../tokens';
import { Button, Chip, Empty, ErrorBox, modelName } from './common';
import { StudioProvider, useStudio } from './context';
import { IdentityStrip } from './identity';
import { useAccess, useMissing } from './permission';
import { ActiveRuns } from './runs';
import { documentName } from './status';

/** The left panel: the server's state, projects and their sessions. */
export class StudioPanel extends VDomRenderer<StudioModel> {
  constructor(private readonly studio: IDevStudio) {
    super(studio.model);
    this.runs = new RunsModel(null, studio.client, studio.changes);
    this.id = 'devstudio-panel';
    this.title.icon = devstudioIcon;
    this.title.caption = studio.trans.__('DevStudio');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', studio.trans.__('DevStudio'));
    this.addClass('devstudio-Panel');
  }

  protected override render(): React.JSX.Element {
    return (
      <StudioProvider value={this.studio}>
        <Panel model={this.model} runs={this.runs} />
      </StudioProvider>
    );
  }

  protected override onAfterShow(): void {
    if (!this.model.loaded) {
      void this.model.refresh();
    }
    void this.studio.access.ready.then(() => {
      if (this.studio.access.missing('openRun') === null) {
        void this.runs.refresh();
      }
    });
  }

  override dispose(): void {
    this.runs.dispose();
    super.dispose();
  }

  private readonly runs: RunsModel;
}

type Row =
  | { kind: 'project'; id: string; project: Project }
  | { kind: 'session'; id: string; project: Project; session: SessionSummary }
  | { kind: 'more'; id: string; projectId: string };

function Panel({ model, runs }: { model: StudioModel; runs: RunsModel }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const [filter, setFilter] = React.useState('');
  const filterInput = React.useRef<HTMLInputElement>(null);
  const access = useAccess();
  const missing = useMissing();
  const newProject = (): void => void commands.execute(CommandIds.newProject);
  return (
    <div
      className="devstudio-PanelBody"
      data-testid="devstudio-panel"
      onKeyDown={event => {
        if (event.key === '/' && event.target !== filterInput.current) {
          event.preventDefault();
          filterInput.current?.focus();
        }
      }}
    >
      <div className="devstudio-PanelHeader">
        <h2>{trans.__('DevStudio')}</h2>
        <IconButton
          icon={projectIcon}
          label={trans.__('New project')}
          testid="new-project"
          blocked={missing('createProject')}
          onClick={newProject}
        />
        <IconButton
          icon={sessionIcon}
          label={trans.__('New session')}
          testid="new-session"
          blocked={missing('createSession')}
          onClick={() => void commands.execute(CommandIds.newSession)}
        />
        <IconButton
          icon={refreshIcon}
          label={trans.__('Refresh')}
          testid="panel-refresh"
          onClick={() => void model.refresh()}
        />
      </div>
      <IdentityStrip />
      <HealthStrip model={model} />
      <ActiveRuns model={runs} />
      {model.error !== null && !access.signedOut && <ErrorBox error={model.error} onRetry={() => void model.refresh()} />}
      {model.projects.length > 0 && (
        <input
          ref={filterInput}
          type="search"
          className="jp-mod-styled devstudio-Filter"
          data-testid="panel-filter"
          placeholder={trans.__('Filter ( / )')}
          aria-label={trans.__('Filter projects and sessions')}
          value={filter}
          onChange={event => {
            setFilter(event.target.value);
          }}
        />
      )}
      {model.loaded && model.projects.length === 0 && (
        <Empty text={trans.__('No projects yet. A project has its own git repository; sessions belong to it.')}>
          <Button
            kind="primary"
            label={trans.__('New project')}
            testid="empty-new-project"
            blocked={missing('createProject')}
            onClick={newProject}
          />
        </Empty>
      )}
      <Tree model={model} filter={filter.trim().toLowerCase()} onClearFilter={() => { setFilter(''); }} />
      {model.hasMoreProjects && (
        <Button label={trans.__('More projects')} onClick={() => void model.loadMoreProjects()} />
      )}
    </div>
  );
}

/** Who answers when the AI is asked, and what contains the code that runs. */
function HealthStrip({ model }: { model: StudioModel }): React.JSX.Element | null {
  const { trans, commands } = useStudio();
  const { health, defaultModel } = model;
  if (health === null) {
    return null;
  }
  const { sandbox } = health;
  const warning = sandbox.warning ?? '';
  const failed = Object.entries(health.checks).filter(([, check]) => !check.ok && check.required);
  return (
    <section className="devstudio-Health" aria-label={trans.__('Server state')}>
      <div className="devstudio-Row">
        <span>{trans.__('AI')}</span>
        <Chip tone={defaultModel?.provider === 'offline' ? 'neutral' : 'info'} testid="ai-mode">
          {defaultModel === null
            ? trans.__('none')
            : defaultModel.provider === 'offline'
              ? trans.__('offline templates (no AI)')
              : modelName(defaultModel.provider, defaultModel.name, trans)}
        </Chip>
        <button
          type="button"
          className="devstudio-Link"
          data-testid="open-costs"
          onClick={() => void commands.execute(CommandIds.openCosts)}
        >
          {trans.__('Cost')}
        </button>
      </div>
      <div className="devstudio-Row">
        <span>{trans.__('Sandbox')}</span>
        <Chip tone={warning === '' ? 'good' : 'warn'} title={sandbox.backend} testid="isolation">
          {sandbox.isolation}
        </Chip>
      </div>
      {warning !== '' && (
        <p className="devstudio-Warning" data-testid="isolation-warning">
          {warning}
        </p>
      )}
      {failed.map(([name, check]) => (
        <p key={name} className="devstudio-Warning" role="alert">
          {[check.detail, check.hint].filter(Boolean).join(' ')}
        </p>
      ))}
    </section>
  );
}

/** Projects and sessions as one list of rows, as the arrow keys walk through them. */
function rowsOf(model: StudioModel, filter: string): Row[] {
  const matches = (text: string): boolean => text.toLowerCase().includes(filter);
  const rows: Row[] = [];
  for (const project of model.projects) {
    const list = model.sessions.get(project.id);
    const wholeProject = filter === '' || matches(project.name);
    const sessions = (list?.items ?? []).filter(session => wholeProject || matches(session.title));
    if (!wholeProject && sessions.length === 0) {
      continue;
    }
    rows.push({ kind: 'project', id: project.id, project });
    if (model.expanded.has(project.id)) {
      rows.push(...sessions.map(session => ({ kind: 'session' as const, id: session.id, project, session })));
      if (list?.nextCursor != null) {
        rows.push({ kind: 'more', id: `more-${project.id}`, projectId: project.id });
      }
    }
  }
  return rows;
}

interface ITreeProps {
  model: StudioModel;
  filter: string;
  onClearFilter: () => void;
}

function Tree({ model, filter, onClearFilter }: ITreeProps): React.JSX.Element | null {
  const { trans, commands } = useStudio();
  const tree = React.useRef<HTMLDivElement>(null);
  const [current, setCurrent] = React.useState('');
  const rows = rowsOf(model, filter);
  const index = Math.max(
    0,
    rows.findIndex(row => row.id === current)
  );

  const open = (row: Row): void => {
    setCurrent(row.id);
    if (row.kind === 'project') {
      model.setExpanded(row.id, !model.expanded.has(row.id));
    } else if (row.kind === 'session') {
      void commands.execute(CommandIds.openSession, { sessionId: row.id });
    } else {
      void model.loadMoreSessions(row.projectId);
    }
  };
  const focus = (at: number): void => {
    const row = rows[Math.min(Math.max(at, 0), rows.length - 1)];
    if (row !== undefined) {
      setCurrent(row.id);
      tree.current?.querySelector<HTMLElement>(`[data-row="${row.id}"]`)?.focus();
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const row = rows[index];
    const openCurrent = (): void => {
      if (row !== undefined) {
        open(row);
      }
    };
    const moves: Record<string, () => void> = {
      ArrowDown: () => { focus(index + 1); },
      ArrowUp: () => { focus(index - 1); },
      Home: () => { focus(0); },
      End: () => { focus(rows.length - 1); },
      ArrowRight: () => {
        if (row?.kind === 'project' && !model.expanded.has(row.id)) {
          open(row);
        } else {
          focus(index + 1);
        }
      },
      ArrowLeft: () => {
        if (row?.kind === 'project') {
          model.setExpanded(row.id, false);
        } else {
          focus(rows.findLastIndex((other, at) => at < index && other.kind === 'project'));
        }
      },
      Enter: () => { openCurrent(); },
      ' ': () => { openCurrent(); }
    };
    const move = moves[event.key];
    if (move !== undefined && event.target instanceof HTMLElement && event.target.dataset.row !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      move();
    }
  };

  if (rows.length === 0) {
    return filter === '' ? null : (
      <Empty text={trans.__('Nothing here matches “%1”.', filter)}>
        <Button label={trans.__('Clear the filter')} testid="panel-filter-clear" onClick={onClearFilter} />
      </Empty>
    );
  }
  return (
    <div ref={tree} className="devstudio-Tree" role="tree" aria-label={trans.__('Projects')} onKeyDown={onKeyDown}>
      {rows.map((row, at) => (
        <TreeRow key={row.id} row={row} model={model} tabIndex={at === index ? 0 : -1} onOpen={() => { open(row); }} />
      ))}
    </div>
  );
}

interface IRowProps {
  row: Row;
  model: StudioModel;
  tabIndex: number;
  onOpen: () => void;
}

function TreeRow({ row, model, tabIndex, onOpen }: IRowProps): React.JSX.Element {
  const { trans, commands } = useStudio();
  const missing = useMissing();
  const shared = { role: 'treeitem', tabIndex, onClick: onOpen, 'data-row': row.id };
  if (row.kind === 'more') {
    return (
      <div className="devstudio-TreeRow devstudio-mod-session" aria-level={2} {...shared}>
        {trans.__('More sessions…')}
      </div>
    );
  }
  if (row.kind === 'session') {
    return (
      <div
        className="devstudio-TreeRow devstudio-mod-session"
        aria-level={2}
        data-testid="session-item"
        data-session-id={row.id}
        aria-selected={row.id === model.currentSession}
        title={row.session.description ?? row.session.title}
        {...shared}
      >
        <span className="devstudio-TreeLabel">{row.session.title}</span>
        <PhaseDots versions={row.session.document_versions} />
        <span className="devstudio-Faint">{trans.__('v%1', row.session.version)}</span>
      </div>
    );
  }
  const open = model.expanded.has(row.id);
  const empty = open && model.sessions.get(row.id)?.items.length === 0;
  return (
    <>
      <div
        className="devstudio-TreeRow"
        aria-level={1}
        aria-expanded={open}
        data-testid="project-item"
        data-project-id={row.id}
        title={row.project.description ?? row.project.name}
        {...shared}
      >
        {open ? (
          <caretDownIcon.react tag="span" className="devstudio-Icon" />
        ) : (
          <caretRightIcon.react tag="span" className="devstudio-Icon" />
        )}
        <span className="devstudio-TreeLabel">{row.project.name}</span>
        <span className="devstudio-Faint">{row.project.template}</span>
        <IconButton
          icon={runIcon}
          label={trans.__('Runs of %1', row.project.name)}
          testid="project-runs"
          blocked={missing('openRun')}
          onClick={() => void commands.execute(CommandIds.openRuns, { projectId: row.id })}
        />
      </div>
      {empty && (
        <div className="devstudio-TreeEmpty">
          <span className="devstudio-Faint">{trans.__('No sessions yet')}</span>
          <Button
            label={trans.__('New session')}
            testid="empty-new-session"
            blocked={missing('createSession')}
            onClick={() => void commands.execute(CommandIds.newSession, { projectId: row.id })}
          />
        </div>
      )}
    </>
  );
}

/** Which documents of a session are written: a letter each, filled when it is. */
function PhaseDots({ versions }: { versions: SessionSummary['document_versions'] }): React.JSX.Element {
  const { trans } = useStudio();
  const phases = DOCUMENTS.map(kind => ({ name: documentName(kind, trans), version: versions[kind] ?? 0 }));
  const words = phases
    .map(({ name, version }) => (version > 0 ? trans.__('%1 version %2', name, version) : trans.__('%1 not written', name)))
    .join(', ');
  return (
    <span className="devstudio-Dots" role="img" aria-label={words} title={words} data-testid="session-phases">
      {phases.map(({ name, version }) => (
        <span key={name} className={version > 0 ? 'devstudio-mod-written' : ''}>
          {name.charAt(0)}
        </span>
      ))}
    </span>
  );
}

function IconButton(props: {
  icon: LabIcon;
  label: string;
  testid: string;
  /** Why it cannot be pressed now; null when it can. */
  blocked?: string | null;
  onClick: () => void;
}): React.JSX.Element {
  const blocked = props.blocked ?? null;
  return (
    <button
      type="button"
      className="devstudio-IconButton"
      title={blocked === null ? props.label : `${props.label}: ${blocked}`}
      aria-label={props.label}
      aria-disabled={blocked !== null}
      data-testid={props.testid}
      onClick={event => {
        event.stopPropagation(); // the row around it has a click of its own
        if (blocked === null) {
          props.onClick();
        }
      }}
    >
      <props.icon.react tag="span" className="devstudio-Icon" />
    </button>
  );
}

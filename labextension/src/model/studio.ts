import {
  asProblem,
  type DevStudioClient,
  type Health,
  type Model as AiModel,
  type ProblemError,
  type Project,
  type ProjectCreate,
  type Session,
  type SessionCreate,
  type SessionSummary
} from '@renum/devstudio-api-client';

import { Model } from './base';
import type { Changes } from './changes';
import { Latest } from './latest';

const PAGE = 100;

/** The sessions of one project, as far as they are loaded. */
export interface ISessionList {
  items: SessionSummary[];
  nextCursor: string | null;
}

/** What the left panel shows: the server's state, projects, and the sessions of those that are open. */
export class StudioModel extends Model {
  health: Health | null = null;
  models: AiModel[] = [];
  projects: Project[] = [];
  loaded = false;
  loading = false;
  error: ProblemError | null = null;
  readonly sessions = new Map<string, ISessionList>();
  readonly expanded = new Set<string>();
  /** The session that was in front last and is still open. */
  currentSession: string | null = null;

  constructor(
    private readonly client: DevStudioClient,
    private readonly changes: Changes
  ) {
    super();
    changes.happened.connect((_, change) => {
      if (change.kind === 'projects' || change.kind === 'all') {
        void this.refresh();
      } else if (change.kind === 'sessions' && this.expanded.has(change.projectId)) {
        void this.loadSessions(change.projectId);
      } else if (change.kind === 'documents') {
        void this.reloadProjectOf(change.sessionId);
      }
    }, this);
  }

  /** The model that answers when a request names none. */
  get defaultModel(): AiModel | null {
    return this.models.find(model => model.default === true) ?? this.models[0] ?? null;
  }

  get hasMoreProjects(): boolean {
    return this.nextProjects !== null;
  }

  projectOf(projectId: string): Project | null {
    return this.projects.find(project => project.id === projectId) ?? null;
  }

  /** Load everything that is shown anew. */
  refresh(): Promise<void> {
    return this.latest.run();
  }

  private async load(): Promise<void> {
    this.loading = true;
    this.emitChange();
    try {
      const [health, models, page] = await Promise.all([
        this.client.health(),
        this.client.ai.models(),
        this.client.listProjects({ limit: PAGE })
      ]);
      Object.assign(this, { health, models, projects: page.items, error: null, loaded: true });
      this.nextProjects = page.next_cursor ?? null;
      await Promise.all([...this.expanded].map(id => this.loadSessions(id)));
    } catch (error) {
      this.error = asProblem(error);
    } finally {
      this.loading = false;
      this.emitChange();
    }
  }

  async loadMoreProjects(): Promise<void> {
    if (this.nextProjects === null) {
      return;
    }
    await this.guarded(async cursor => {
      const page = await this.client.listProjects({ limit: PAGE, cursor });
      this.projects = [...this.projects, ...page.items];
      this.nextProjects = page.next_cursor ?? null;
    }, this.nextProjects);
  }

  async loadMoreSessions(projectId: string): Promise<void> {
    const list = this.sessions.get(projectId);
    if (list?.nextCursor == null) {
      return;
    }
    await this.guarded(async cursor => {
      const page = await this.client.listSessions({ project_id: projectId, limit: PAGE, cursor });
      this.sessions.set(projectId, { items: [...list.items, ...page.items], nextCursor: page.next_cursor ?? null });
    }, list.nextCursor);
  }

  /** Open or close a project in the tree. */
  setExpanded(projectId: string, open: boolean): void {
    if (open === this.expanded.has(projectId)) {
      return;
    }
    if (open) {
      this.expanded.add(projectId);
      void this.loadSessions(projectId);
    } else {
      this.expanded.delete(projectId);
    }
    this.emitChange();
  }

  /** Open the project of a session, so that the tree has the session's row. */
  show(session: Session | null): void {
    if (session !== null) {
      this.setExpanded(session.project_id, true);
    }
  }

  /** Tell which session is in front. */
  setCurrent(sessionId: string | null): void {
    this.currentSession = sessionId;
    this.emitChange();
  }

  async createProject(body: ProjectCreate): Promise<Project> {
    const project = await this.client.createProject(body);
    this.expanded.add(project.id);
    this.projects = [project, ...this.projects];
    this.changes.emit({ kind: 'projects' });
    return project;
  }

  async createSession(body: SessionCreate): Promise<Session> {
    const session = await this.client.createSession(body);
    this.expanded.add(session.project_id);
    this.changes.emit({ kind: 'sessions', projectId: session.project_id });
    return session;
  }

  /** A session's version changed: show the new one. */
  private async reloadProjectOf(sessionId: string): Promise<void> {
    for (const [projectId, { items }] of this.sessions) {
      if (items.some(session => session.id === sessionId)) {
        await this.loadSessions(projectId);
      }
    }
  }

  private async loadSessions(projectId: string): Promise<void> {
    await this.guarded(async id => {
      const page = await this.client.listSessions({ project_id: id, limit: PAGE });
      this.sessions.set(id, { items: page.items, nextCursor: page.next_cursor ?? null });
    }, projectId);
  }

  private async guarded(work: (argument: string) => Promise<void>, argument: string): Promise<void> {
    try {
      await work(argument);
    } catch (error) {
      this.error = asProblem(error);
    }
    this.emitChange();
  }

  private readonly latest = new Latest(() => this.load());
  private nextProjects: string | null = null;
}

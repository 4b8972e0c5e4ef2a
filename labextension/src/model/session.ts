import {
  asProblem,
  ProblemError,
  type DevStudioClient,
  type DocumentType,
  type Lint,
  type LintWarning,
  type Patch,
  type Project,
  type Run,
  type Session,
  type Stage,
  type Task,
  type TaskList,
  type Usage
} from '@renum/devstudio-api-client';

import { Model } from './base';
import type { Change, Changes } from './changes';
import { Drafts, type DraftStorage, type IDraft } from './drafts';
import { Latest } from './latest';
import { Generation } from './generation';
import { Operation } from './operation';
import { Proposals } from './proposals';
import { isFinal } from './steps';
import { SessionSync } from './sync';

/** The documents in the order in which they are written. */
export const DOCUMENTS: readonly DocumentType[] = ['requirements', 'design', 'tasks'];

/** How often a session looks again while one of its runs is active. */
const POLL_MS = 5000;

/** A session: its documents with what was typed but not saved, its tasks, and their patches and runs. */
export class SessionModel extends Model {
  session: Session | null = null;
  project: Project | null = null;
  tasks: TaskList | null = null;
  error: ProblemError | null = null;
  loading = false;
  usage: Usage | null = null;
  /** What to know about the last plan. */
  notes: string[] = [];
  /** What looks wrong in the saved documents, and how they cover each other. */
  lint: Lint | null = null;
  /** The document that the view shows. */
  shown: DocumentType = 'requirements';
  /** Where in it the cursor was sent; a new object each time. */
  place: { readonly line: number; readonly column: number } | null = null;
  readonly saving = new Set<DocumentType>();
  readonly saveErrors = new Map<DocumentType, ProblemError>();
  readonly planning = new Operation(() => {
    this.emitChange();
  });
  readonly proposals: Proposals;
  readonly sync: SessionSync;

  constructor(
    readonly id: string,
    private readonly client: DevStudioClient,
    private readonly changes: Changes,
    storage: DraftStorage,
    owner: () => string = () => ''
  ) {
    super();
    this.drafts = new Drafts(id, storage, owner);
    this.proposals = new Proposals(id, client, {
      changed: () => {
        this.emitChange();
      },
      accepted: session => {
        this.accept(session);
        changes.emit({ kind: 'documents', sessionId: id });
      }
    });
    this.sync = new SessionSync(id, client, {
      session: () => this.session,
      changed: () => {
        this.emitChange();
      },
      accepted: session => {
        this.accept(session);
        changes.emit({ kind: 'documents', sessionId: id });
      }
    });
    changes.happened.connect((_, change) => {
      if (this.concerns(change)) {
        void this.refresh();
      }
    }, this);
  }

  override dispose(): void {
    clearTimeout(this.timer);
    super.dispose();
  }

  /** Load the session, its tasks and their patches anew. */
  refresh(): Promise<void> {
    return this.latest.run();
  }

  private async load(): Promise<void> {
    this.loading = true;
    this.emitChange();
    try {
      const [session, tasks, lint] = await Promise.all([
        this.client.session(this.id),
        this.client.tasks(this.id),
        this.client.planning.lint(this.id),
        this.proposals.load(),
        this.sync.load()
      ]);
      this.accept(session);
      Object.assign(this, { tasks, lint });
      this.project ??= await this.client.project(session.project_id);
      await this.loadWork(tasks.items);
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
    } finally {
      this.loading = false;
      this.emitChange();
      this.poll();
    }
  }

  task(taskId: string): Task | null {
    return this.tasks?.items.find(task => task.id === taskId) ?? null;
  }

  patchOf(taskId: string): Patch | null {
    return this.patches.get(taskId) ?? null;
  }

  /** The newest run of a task's patch, while it matters for the next step. */
  runOf(taskId: string): Run | null {
    const id = this.patchOf(taskId)?.run_id;
    return id == null ? null : (this.runs.get(id) ?? null);
  }

  /** The generation of a task; it exists from the first time that someone asks. */
  generationOf(taskId: string): Generation {
    const known = this.generations.get(taskId);
    if (known !== undefined) {
      return known;
    }
    const made = new Generation(taskId, this.client, () => {
      this.emitChange();
    });
    this.generations.set(taskId, made);
    return made;
  }

  /** What an editor shows: the draft, else the saved text. */
  textOf(kind: DocumentType): string {
    return this.drafts.get(kind)?.text ?? this.session?.documents[kind].content ?? '';
  }

  draftOf(kind: DocumentType): IDraft | null {
    return this.drafts.get(kind);
  }

  /** Whether someone else changed a document while it was being edited here; a save under way may be that change. */
  inConflict(kind: DocumentType): boolean {
    return !this.saving.has(kind) && this.differs(kind);
  }

  show(kind: DocumentType): void {
    this.shown = kind;
    this.emitChange();
  }

  /** Keep what was typed. Typing back to the saved text leaves no draft. */
  edit(kind: DocumentType, text: string): void {
    if (this.session === null || text === this.textOf(kind)) {
      return;
    }
    const { content } = this.session.documents[kind];
    const draft = this.drafts.get(kind);
    if (text === (draft?.base ?? content) && !this.inConflict(kind)) {
      this.drafts.drop(kind);
    } else {
      const { base, version } = draft ?? { base: content, version: this.session.version };
      this.drafts.set(kind, { text, base, version });
    }
    this.emitChange();
  }

  /** Save a document's draft; with a conflict nothing is saved and the draft stays. Returns whether it was saved. */
  async save(kind: DocumentType): Promise<boolean> {
    const draft = this.drafts.get(kind);
    if (draft === null || this.saving.has(kind) || this.inConflict(kind)) {
      return draft === null;
    }
    this.saving.add(kind);
    this.saveErrors.delete(kind);
    this.emitChange();
    try {
      await this.send(kind, draft);
      this.changes.emit({ kind: 'documents', sessionId: this.id });
      return true;
    } catch (error) {
      this.saveErrors.set(kind, asProblem(error));
      return false;
    } finally {
      this.saving.delete(kind);
      this.emitChange();
    }
  }

  /** Resolve a conflict with the text that was typed here. */
  async overwriteWithMine(kind: DocumentType): Promise<void> {
    const draft = this.drafts.get(kind);
    if (draft === null || this.session === null) {
      return;
    }
    const { version, documents } = this.session;
    this.drafts.set(kind, { text: draft.text, base: documents[kind].content, version });
    await this.save(kind);
  }

  /** Resolve a conflict with the saved text; what was typed here is dropped. */
  takeTheirs(kind: DocumentType): void {
    this.drafts.drop(kind);
    this.saveErrors.delete(kind);
    this.emitChange();
  }

  /** Have a model propose the documents of a stage; nothing is changed. Drafts are saved first, so that it reads what the person wrote. */
  async plan(stage: Stage, prompt: string, model: string): Promise<boolean> {
    for (const kind of DOCUMENTS) {
      if (!(await this.save(kind))) {
        this.show(kind);
        return false;
      }
    }
    const body = { session_id: this.id, stage, mode: 'propose' as const, prompt: prompt.trim() || null, model: model || null };
    const result = await this.planning.run(listen => this.client.plan(body, listen));
    if (result !== null) {
      this.usage = result.usage;
      this.notes = result.warnings.map(({ message }) => message);
      this.shown = stage === 'all' ? this.shown : stage;
      if (result.proposal != null) {
        this.proposals.offer(result.proposal);
      }
    }
    this.changes.emit({ kind: 'documents', sessionId: this.id });
    return result !== null;
  }

  /** Have a model write code for a task; returns the new patch's id. */
  async generate(taskId: string, instructions: string, model: string): Promise<string | null> {
    const result = await this.generationOf(taskId).run(instructions, model);
    this.changes.emit({ kind: 'task', taskId });
    return result?.patch_id ?? null;
  }

  /** Approve a document as it is saved, or make it a draft again. */
  async setApproved(kind: DocumentType, approved: boolean): Promise<void> {
    if (this.saving.has(kind) || (approved && !(await this.save(kind)))) {
      return;
    }
    this.saving.add(kind);
    this.saveErrors.delete(kind);
    this.emitChange();
    try {
      const { planning } = this.client;
      this.accept(
        approved
          ? await planning.approve(this.id, kind, this.session?.documents[kind].version ?? 0)
          : await planning.reopen(this.id, kind)
      );
      this.changes.emit({ kind: 'documents', sessionId: this.id });
    } catch (error) {
      this.saveErrors.set(kind, asProblem(error));
    } finally {
      this.saving.delete(kind);
      this.emitChange();
    }
  }

  /** What looks wrong in a document, as it is saved. */
  warningsOf(kind: DocumentType): readonly LintWarning[] {
    return (this.lint?.warnings ?? this.session?.warnings ?? []).filter(warning => warning.document === kind);
  }

  /** Show a place of a document. */
  goTo(kind: DocumentType, line: number, column: number): void {
    this.shown = kind;
    this.place = { line, column };
    this.emitChange();
  }

  private async send(kind: DocumentType, draft: IDraft): Promise<void> {
    try {
      this.saved(kind, draft, await this.put(kind, draft.text, draft.version));
    } catch (error) {
      if (!(error instanceof ProblemError) || error.status !== 412) {
        throw error;
      }
      this.accept(await this.client.session(this.id));
      const now = this.drafts.get(kind);
      if (now === null || this.differs(kind)) {
        throw error; // the view shows both texts
      }
      this.saved(kind, now, await this.put(kind, now.text, now.version)); // only another document had changed
    }
  }

  /** Whether what is saved is no longer what the draft of a document started from. */
  private differs(kind: DocumentType): boolean {
    const draft = this.drafts.get(kind);
    return draft !== null && this.session !== null && this.session.documents[kind].content !== draft.base;
  }

  private put(kind: DocumentType, text: string, version: number): Promise<Session> {
    return this.client.updateSession(this.id, version, { documents: { [kind]: text } });
  }

  /** Drop the draft that was saved; what was typed since then becomes a draft on the new text. */
  private saved(kind: DocumentType, sent: IDraft, session: Session): void {
    const now = this.drafts.get(kind);
    if (now === null || now.text === sent.text) {
      this.drafts.drop(kind);
    } else {
      this.drafts.set(kind, { text: now.text, base: session.documents[kind].content, version: session.version });
    }
    this.accept(session);
  }

  /** Take the server's state; a draft whose document did not change moves on to the new version. */
  private accept(session: Session): void {
    this.session = session;
    for (const kind of DOCUMENTS) {
      const draft = this.drafts.get(kind);
      if (draft?.base === session.documents[kind].content && draft.version !== session.version) {
        this.drafts.set(kind, { ...draft, version: session.version });
      }
    }
  }

  /** Load the newest patch of each task, and the runs of those that were applied or tried. */
  private async loadWork(tasks: readonly Task[]): Promise<void> {
    const newest = new Map<string, Patch>();
    const known = new Set(tasks.map(task => task.id));
    for (const patch of (await this.client.listPatches({ limit: 200 })).items) {
      if (known.has(patch.task_id) && !newest.has(patch.task_id)) {
        newest.set(patch.task_id, patch);
      }
    }
    const missing = tasks.filter(task => task.status !== 'todo' && !newest.has(task.id));
    for (const task of missing) {
      const [patch] = (await this.client.listPatches({ task_id: task.id, limit: 1 })).items;
      if (patch !== undefined) {
        newest.set(task.id, patch);
      }
    }
    this.patches = newest;
    const ids = [...newest.values()].flatMap(patch => patch.run_id ?? []);
    const wanted = ids.filter(id => !isFinal(this.runs.get(id)?.status ?? 'pending'));
    for (const run of await Promise.all(wanted.map(id => this.client.run(id)))) {
      this.runs.set(run.id, run);
    }
  }

  private poll(): void {
    clearTimeout(this.timer);
    const active = [...this.patches.values()].some(patch => {
      const run = patch.run_id === null ? undefined : this.runs.get(patch.run_id);
      return run !== undefined && !isFinal(run.status);
    });
    if (active && !this.isDisposed) {
      this.timer = setTimeout(() => void this.refresh(), POLL_MS);
    }
  }

  private concerns(change: Change): boolean {
    return (
      change.kind === 'all' ||
      (change.kind === 'documents' && change.sessionId === this.id) ||
      (change.kind === 'task' && this.task(change.taskId) !== null)
    );
  }

  private readonly latest = new Latest(() => this.load());
  private readonly drafts: Drafts;
  private readonly generations = new Map<string, Generation>();
  private readonly runs = new Map<string, Run>();
  private patches = new Map<string, Patch>();
  private timer: ReturnType<typeof setTimeout> | undefined;
}

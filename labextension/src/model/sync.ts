import {
  asProblem,
  type Conflict,
  type ConflictAnswer,
  type DevStudioClient,
  type DocumentType,
  type ProblemError,
  type Session
} from '@renum/devstudio-api-client';

/** How a session and its files stand. */
export type SyncState = 'synced' | 'syncing' | 'conflicts' | 'offline' | 'failed';

interface IListener {
  /** What is shown changed. */
  changed: () => void;
  /** The documents are what the server says now. */
  accepted: (session: Session) => void;
  /** The session as it is shown. */
  session: () => Session | null;
}

/** What an answer replaced, for whoever takes it back. */
export interface IUndo {
  readonly document: DocumentType;
  readonly label: string;
  readonly before: string;
  readonly version: number;
}

/** The conflicts between a session and its files, and what the person answers. */
export class SessionSync {
  conflicts: readonly Conflict[] = [];
  syncing = false;
  /** The conflict that is being answered. */
  resolving: string | null = null;
  error: ProblemError | null = null;
  /** Why the last answer was not taken. */
  refusal: ProblemError | null = null;
  undoable: IUndo | null = null;
  /** Files that could not be read and were put aside. */
  kept: readonly string[] = [];

  constructor(
    private readonly sessionId: string,
    private readonly client: DevStudioClient,
    private readonly listener: IListener
  ) {}

  /** Those that wait for an answer, in the order in which they came. */
  get open(): readonly Conflict[] {
    return this.conflicts.filter(({ status }) => status === 'open').reverse();
  }

  get resolved(): readonly Conflict[] {
    return this.conflicts.filter(({ status }) => status === 'resolved');
  }

  get state(): SyncState {
    if (this.syncing) {
      return 'syncing';
    }
    if (this.error !== null) {
      return this.error.status === 0 ? 'offline' : 'failed';
    }
    return this.open.length > 0 ? 'conflicts' : 'synced';
  }

  /** Read the conflicts; a failure is kept, and is nobody else's. */
  async load(): Promise<void> {
    try {
      this.conflicts = (await this.client.sync.conflicts(this.sessionId)).items;
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
    }
  }

  /** Take in what other programs wrote into the files. */
  async run(): Promise<void> {
    if (this.syncing) {
      return;
    }
    this.syncing = true;
    this.listener.changed();
    try {
      const { session, kept } = await this.client.sync.run(this.sessionId);
      this.kept = kept;
      this.error = null;
      await this.load();
      this.listener.accepted(session);
    } catch (error) {
      this.error = asProblem(error);
    } finally {
      this.syncing = false;
      this.listener.changed();
    }
  }

  /** Answer a conflict. What the answer replaces can be taken back. */
  async resolve(conflict: Conflict, answer: ConflictAnswer): Promise<boolean> {
    const before = this.listener.session();
    return this.decide(conflict.id, async () => {
      const result = await this.client.sync.resolve(conflict.id, conflict.version, answer);
      const { document, label } = conflict;
      this.conflicts = this.conflicts.map(one => (one.id === conflict.id ? result.conflict : one));
      const text = before?.documents[document].content ?? '';
      const changed = before !== null && result.session.documents[document].content !== text;
      this.undoable = changed ? { document, label, before: text, version: result.session.version } : null;
      await this.load(); // the others may stand otherwise now
      this.listener.accepted(result.session);
    });
  }

  /** Take back the last answer: the document is again as it was before, as a new version. */
  async undo(): Promise<boolean> {
    const { undoable } = this;
    return (
      undoable !== null &&
      this.decide('undo', async () => {
        const documents = { [undoable.document]: undoable.before };
        const session = await this.client.updateSession(this.sessionId, undoable.version, { documents });
        this.undoable = null;
        this.listener.accepted(session);
      })
    );
  }

  private async decide(what: string, work: () => Promise<void>): Promise<boolean> {
    if (this.resolving !== null) {
      return false;
    }
    this.resolving = what;
    this.refusal = null;
    this.listener.changed();
    try {
      await work();
      return true;
    } catch (error) {
      this.refusal = asProblem(error);
      await this.load(); // a conflict that was changed meanwhile is shown as it is now
      return false;
    } finally {
      this.resolving = null;
      this.listener.changed();
    }
  }
}

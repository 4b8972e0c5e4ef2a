import type { DevStudioClient, IFollow, StudioEvent } from '@renum/devstudio-api-client';
import type { IDisposable } from '@lumino/disposable';

import type { Change, Changes } from './changes';

/** How long changes are gathered before views hear of them: one deed writes several rows. */
const GATHER_MS = 250;

interface ILiveOptions {
  client: DevStudioClient;
  changes: Changes;
  gatherMs?: number;
  wait?: IFollow['wait'];
}

/** Tells the views of this page what other people, pages and runs change. Without the stream, views are as they were. */
export class LiveChanges implements IDisposable {
  constructor(private readonly options: ILiveOptions) {}

  get isDisposed(): boolean {
    return this.disposed;
  }

  dispose(): void {
    this.pause();
    clearTimeout(this.timer);
    this.disposed = true;
  }

  /** Listen, from where it stopped the last time. Where that was refused, everything is read anew instead. */
  resume(): void {
    if (this.controller !== null || this.disposed) {
      return;
    }
    if (this.refused) {
      this.gather([{ kind: 'all' }]);
    }
    void this.follow();
  }

  /** Stop listening, as for a page that nobody sees. */
  pause(): void {
    this.controller?.abort();
    this.controller = null;
  }

  private async follow(): Promise<void> {
    const controller = new AbortController();
    this.controller = controller;
    const { client, wait } = this.options;
    try {
      const events = client.followEvents({
        signal: controller.signal,
        ...(this.seq === null ? {} : { offset: this.seq }),
        ...(wait === undefined ? {} : { wait })
      });
      for await (const event of events) {
        if (controller.signal.aborted) {
          return;
        }
        this.refused = false;
        this.seq = event.seq;
        this.gather(changesOf(event));
      }
    } catch {
      this.refused = true; // signed out, not permitted, or a server without the stream; `resume` asks again
    } finally {
      if (this.controller === controller) {
        this.controller = null;
      }
    }
  }

  private gather(changes: readonly Change[]): void {
    for (const change of changes) {
      this.gathered.set(JSON.stringify(change), change);
    }
    if (this.gathered.size > 0) {
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        this.tell();
      }, this.options.gatherMs ?? GATHER_MS);
    }
  }

  /** Tell each change once; whoever reads everything anew needs no other. */
  private tell(): void {
    const all: Change = { kind: 'all' };
    const changes = this.gathered.has(JSON.stringify(all)) ? [all] : [...this.gathered.values()];
    this.gathered.clear();
    for (const change of changes) {
      this.options.changes.emit(change);
    }
  }

  private controller: AbortController | null = null;
  private disposed = false;
  private refused = false;
  private readonly gathered = new Map<string, Change>();
  private seq: number | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
}

/** What an event means for the views. */
export function changesOf(event: StudioEvent): Change[] {
  if (event.kind !== 'change') {
    return event.kind === 'reset' ? [{ kind: 'all' }] : [];
  }
  const [subject = '', deed = ''] = event.type.split('.');
  const text = (name: string): string | null => {
    const value = event.payload[name];
    return typeof value === 'string' ? value : null;
  };
  const projectId = text('project_id');
  const sessionId = subject === 'spec_session' ? event.subject_id : text('session_id');
  const taskId = subject === 'task' ? event.subject_id : text('task_id');
  const found: Change[] = [];
  if (subject === 'review_policy') {
    found.push({ kind: 'all' }); // every review of the project asks for something else now
  }
  if (subject === 'project') {
    found.push({ kind: 'projects' });
  }
  if (subject === 'spec_session' && deed !== 'updated' && projectId !== null) {
    found.push({ kind: 'sessions', projectId });
  }
  if (sessionId !== null && (subject !== 'task' || deed !== 'updated')) {
    found.push({ kind: 'documents', sessionId });
  }
  if (subject === 'run') {
    found.push({ kind: 'run', runId: event.subject_id });
  }
  if (taskId !== null) {
    found.push({ kind: 'task', taskId });
  }
  return found;
}

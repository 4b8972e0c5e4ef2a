import { asProblem, type DevStudioClient, type ProblemError, type Run } from '@renum/devstudio-api-client';

import { PlainText } from './ansi';
import { Model } from './base';
import type { Changes } from './changes';
import { isFinal } from './steps';

const POLL_MS = 2000;
/** Characters kept on the page; the whole log stays on the server. */
const MAX_SHOWN = 4_000_000;

/** A piece of the log, in the order in which it came. */
export interface ILogPiece {
  id: number;
  text: string;
}

/** A run: where it stands, its report, and its log as it grows. */
export class RunModel extends Model {
  run: Run | null = null;
  error: ProblemError | null = null;
  logError: ProblemError | null = null;
  actionError: ProblemError | null = null;
  pieces: ILogPiece[] = [];
  truncated = false;
  reconnecting = false;
  canceling = false;

  constructor(
    readonly id: string,
    private readonly client: DevStudioClient,
    private readonly changes: Changes
  ) {
    super();
    changes.happened.connect((_, change) => {
      if (change.kind === 'all' || (change.kind === 'run' && change.runId === this.id)) {
        void this.again();
      }
    }, this);
  }

  override dispose(): void {
    this.controller.abort();
    clearTimeout(this.timer);
    super.dispose();
  }

  get active(): boolean {
    return this.run !== null && !isFinal(this.run.status);
  }

  /** Load the run and follow its log to the end. */
  async start(): Promise<void> {
    await this.refresh();
    if (this.run !== null) {
      await this.follow();
    }
  }

  async refresh(): Promise<void> {
    const before = this.run;
    try {
      this.run = await this.client.run(this.id);
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
    }
    this.emitChange();
    if (before !== null && !isFinal(before.status) && !this.active) {
      this.tellEnd();
    }
    if (this.active && !this.isDisposed) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.refresh(), POLL_MS);
    }
  }

  async cancel(): Promise<void> {
    this.canceling = true;
    this.actionError = null;
    this.emitChange();
    try {
      await this.client.cancelRun(this.id);
    } catch (error) {
      this.actionError = asProblem(error);
    }
    this.canceling = false;
    await this.refresh();
  }

  /** Follow the log from where it stands; also after an error. */
  async follow(): Promise<void> {
    this.logError = null;
    try {
      const pages = this.client.followLog(this.id, {
        offset: this.offset,
        signal: this.controller.signal,
        onReconnecting: reconnecting => {
          if (reconnecting !== this.reconnecting) {
            this.reconnecting = reconnecting;
            this.emitChange();
          }
        }
      });
      for await (const page of pages) {
        this.offset = page.next_offset;
        this.append(this.plain.push(page.content));
      }
      this.reconnecting = false;
    } catch (error) {
      this.logError = asProblem(error);
    }
    await this.refresh();
  }

  /** Something changed: look at the run, and go on with a log that an error ended. */
  private again(): Promise<void> {
    if (this.run === null) {
      return this.error === null ? Promise.resolve() : this.start(); // without an error it is on its way already
    }
    return this.logError === null ? this.refresh() : this.follow();
  }

  private append(text: string): void {
    if (text === '') {
      return;
    }
    this.pieces = [...this.pieces, { id: this.nextPiece++, text }];
    this.shown += text.length;
    while (this.shown > MAX_SHOWN && this.pieces.length > 1) {
      this.shown -= this.pieces.shift()?.text.length ?? 0;
      this.truncated = true;
    }
    this.emitChange();
  }

  private tellEnd(): void {
    const taskId = this.run?.task_id;
    if (taskId != null) {
      this.changes.emit({ kind: 'task', taskId });
    }
  }

  private readonly controller = new AbortController();
  private readonly plain = new PlainText();
  private offset = 0;
  private shown = 0;
  private nextPiece = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
}

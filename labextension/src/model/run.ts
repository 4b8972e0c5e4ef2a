import { asProblem, type DevStudioClient, type ProblemError, type Run } from '@renum/devstudio-api-client';

import type { Changes } from './changes';
import { LogBuffer } from './log';
import { StartingModel } from './starting';
import { isFinal } from './steps';

const POLL_MS = 2000;

/** A run: where it stands, its report, and its log as it grows. */
export class RunModel extends StartingModel {
  run: Run | null = null;
  error: ProblemError | null = null;
  logError: ProblemError | null = null;
  readonly log = new LogBuffer();
  /** Grows with each page of the log. */
  logRevision = 0;
  reconnecting = false;
  canceling = false;

  constructor(
    readonly id: string,
    private readonly client: DevStudioClient,
    changes: Changes
  ) {
    super(changes);
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

  /** Do the same once more; the new run's id, or null when that was refused. */
  rerun(): Promise<string | null> {
    return this.begin(() => this.client.rerun(this.id));
  }

  /** Get a file of the run, or its log when no name is given; null when that failed. */
  async download(name: string | null): Promise<Blob | null> {
    this.actionError = null;
    try {
      return name === null ? await this.client.downloadLog(this.id) : await this.client.downloadArtifact(this.id, name);
    } catch (error) {
      this.actionError = asProblem(error);
      return null;
    } finally {
      this.emitChange();
    }
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
        this.log.push(page);
        this.logRevision += 1;
        this.emitChange();
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

  private tellEnd(): void {
    const taskId = this.run?.task_id;
    if (taskId != null) {
      this.changes.emit({ kind: 'task', taskId });
    }
  }

  private readonly controller = new AbortController();
  private offset = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
}

import { asProblem, type ILongCall, type ProblemError, type Progress } from '@renum/devstudio-api-client';

import { StreamedText } from './stream';

/** One long call as a view shows it: its progress, what the model said so far, its error, and a way to stop it. */
export class Operation {
  progress: Progress = {};
  startedAt = 0;
  error: ProblemError | null = null;
  /** What the model wrote in the last call; it stays after a stop and after an error. */
  streamed = new StreamedText();
  /** Whether a person stopped the last call. */
  stopped = false;

  constructor(private readonly onChange: () => void) {}

  get running(): boolean {
    return this.controller !== null;
  }

  /** Whether the last call ended without a result but left something to read. */
  get leftPartial(): boolean {
    return !this.running && (this.stopped || this.error !== null) && !this.streamed.isEmpty;
  }

  /** Run `call` and return its result, or null when it failed or was stopped; `error` then says why. */
  async run<T>(call: (listen: ILongCall) => Promise<T>): Promise<T | null> {
    if (this.running) {
      return null;
    }
    const controller = new AbortController();
    this.controller = controller;
    this.startedAt = Date.now();
    this.progress = {};
    this.error = null;
    this.stopped = false;
    this.streamed = new StreamedText();
    this.onChange();
    try {
      return await call({
        signal: controller.signal,
        onProgress: progress => {
          this.hear(progress);
          this.onChange();
        }
      });
    } catch (error) {
      this.stopped = controller.signal.aborted;
      this.error = this.stopped ? null : asProblem(error);
      return null;
    } finally {
      this.controller = null;
      this.onChange();
    }
  }

  /** Stop listening; the server is told that nobody waits any more. */
  stop(): void {
    this.controller?.abort();
  }

  clearError(): void {
    this.error = null;
    this.onChange();
  }

  /** Drop what an unfinished call left. */
  dropPartial(): void {
    this.streamed = new StreamedText();
    this.stopped = false;
    this.clearError();
  }

  private hear(progress: Progress): void {
    if (progress.phase === 'delta') {
      this.streamed.push(progress.text ?? '', progress.kind ?? 'text');
    } else {
      this.streamed.end();
      this.progress = { ...this.progress, ...progress };
    }
  }

  private controller: AbortController | null = null;
}

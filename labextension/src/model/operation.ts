import { asProblem, type ILongCall, type ProblemError, type Progress } from '@renum/devstudio-api-client';

/** One long call as a view shows it: its progress, how long it runs, its error, and a way to stop it. */
export class Operation {
  progress: Progress = {};
  startedAt = 0;
  error: ProblemError | null = null;

  constructor(private readonly onChange: () => void) {}

  get running(): boolean {
    return this.controller !== null;
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
    this.onChange();
    try {
      return await call({
        signal: controller.signal,
        onProgress: progress => {
          this.progress = { ...this.progress, ...progress };
          this.onChange();
        }
      });
    } catch (error) {
      this.error = controller.signal.aborted ? null : asProblem(error);
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

  private controller: AbortController | null = null;
}

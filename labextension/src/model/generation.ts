import {
  asProblem,
  type DevStudioClient,
  type FixRound,
  type GenerateResult,
  type Optimized,
  type ProblemError,
  type Progress
} from '@renum/devstudio-api-client';

import { Operation } from './operation';

/** The generation of one task as its card shows it: at work, how its tests go, and what came of it. */
export class Generation {
  readonly work: Operation;
  result: GenerateResult | null = null;
  /** The rounds that were tested since the last start, as far as they are known. */
  rounds: FixRound[] = [];
  /** Whether the person is asked to start. */
  asking = false;
  estimate: Optimized | null = null;
  estimateError: ProblemError | null = null;

  constructor(
    private readonly taskId: string,
    private readonly client: DevStudioClient,
    private readonly onChange: () => void
  ) {
    this.work = new Operation(onChange);
  }

  /** Ask what a generation would send and cost, for the person to start it or not. */
  async ask(instructions: string, model: string): Promise<void> {
    this.asking = true;
    this.estimate = null;
    this.estimateError = null;
    this.onChange();
    const body = { task_id: this.taskId, instructions: instructions.trim() || null, model: model || null };
    try {
      this.estimate = await this.client.ai.optimize(body);
    } catch (error) {
      this.estimateError = asProblem(error);
    }
    this.onChange();
  }

  /** Do not start. */
  leave(): void {
    this.asking = false;
    this.onChange();
  }

  /** Have a model write code for the task; null when that failed or was stopped. */
  async run(instructions: string, model: string): Promise<GenerateResult | null> {
    if (this.work.running) {
      return null;
    }
    this.asking = false;
    this.result = null;
    this.rounds = [];
    const body = { task_id: this.taskId, instructions: instructions.trim() || null, model: model || null };
    const result = await this.work.run(listen =>
      this.client.generateCode(body, {
        ...listen,
        onProgress: progress => {
          this.hear(progress);
          listen.onProgress?.(progress);
        }
      })
    );
    if (result !== null) {
      this.result = result;
      this.rounds = result.rounds;
    }
    return result;
  }

  private hear(progress: Progress): void {
    if (isRound(progress)) {
      this.rounds = [...this.rounds, progress];
    }
  }
}

/** Whether an event tells how the tests of a round went. */
function isRound(progress: Progress): progress is Progress & FixRound {
  return progress.phase === 'tested' && progress.round !== undefined;
}

import { asProblem, type ProblemError, type Run } from '@renum/devstudio-api-client';

import { Model } from './base';
import type { Changes } from './changes';

/** A model from which runs are started: it shows that one is on its way, and why it was refused. */
export abstract class StartingModel extends Model {
  starting = false;
  actionError: ProblemError | null = null;

  constructor(protected readonly changes: Changes) {
    super();
  }

  /** Start a run and tell the others; its id, or null when that was refused. */
  protected async begin(start: () => Promise<Run>): Promise<string | null> {
    this.starting = true;
    this.actionError = null;
    this.emitChange();
    try {
      const run = await start();
      this.changes.emit({ kind: 'run', runId: run.id });
      return run.id;
    } catch (error) {
      this.actionError = asProblem(error);
      return null;
    } finally {
      this.starting = false;
      this.emitChange();
    }
  }
}

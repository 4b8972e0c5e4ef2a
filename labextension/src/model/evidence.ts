import {
  asProblem,
  type CriterionEvidence,
  type DevStudioClient,
  type ProblemError,
  type Task,
  type TaskEvidence
} from '@renum/devstudio-api-client';

import { Model } from './base';
import type { Changes } from './changes';
import { Latest } from './latest';

/** What runs said about the criteria of one task; loaded while somebody looks at it. */
export class EvidenceModel extends Model {
  evidence: TaskEvidence | null = null;
  error: ProblemError | null = null;

  constructor(
    readonly taskId: string,
    private readonly client: DevStudioClient,
    changes: Changes
  ) {
    super();
    changes.happened.connect((_, change) => {
      if (change.kind === 'all' || change.kind === 'documents' || (change.kind === 'task' && change.taskId === taskId)) {
        void this.refresh();
      }
    }, this);
  }

  refresh(): Promise<void> {
    return this.latest.run();
  }

  private async load(): Promise<void> {
    try {
      this.evidence = await this.client.review.evidence(this.taskId);
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
    }
    this.emitChange();
  }

  private readonly latest = new Latest(() => this.load());
}

/** Where a criterion of a task stands, as far as the task's card tells. */
export interface IStanding {
  state: CriterionEvidence['state'];
  /** What took the proof away; empty when nothing did. */
  why: string;
}

/** Say where each criterion of a task stands: proven for its present text, lost, or never proven. */
export function standings(task: Task, proven: ReadonlySet<string>): ReadonlyMap<string, IStanding> {
  const lost = new Map((task.evidence?.lost ?? []).map(({ key, why }) => [key, why]));
  return new Map(
    task.criteria.map(key => {
      const why = lost.get(key);
      const state = proven.has(key) ? 'proven' : why === undefined ? 'missing' : 'lost';
      return [key, { state, why: state === 'lost' ? (why ?? '') : '' }];
    })
  );
}

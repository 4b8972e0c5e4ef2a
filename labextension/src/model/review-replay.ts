import { asProblem, type DevStudioClient, type Patch, type ProblemError, type Replay } from '@renum/devstudio-api-client';

import { Model } from './base';
import type { Changes } from './changes';
import { Latest } from './latest';
import { isFinal } from './steps';

/** The replays of a patch: whether it comes out the same when it is made and tested again. */
export class ReplayModel extends Model {
  replays: readonly Replay[] = [];
  error: ProblemError | null = null;
  starting = false;

  constructor(
    patch: Pick<Patch, 'id' | 'task_id'>,
    private readonly client: DevStudioClient,
    changes: Changes
  ) {
    super();
    this.patchId = patch.id;
    changes.happened.connect((_, change) => {
      const mine = change.kind === 'task' && change.taskId === patch.task_id;
      const watched = change.kind === 'run' && change.runId === this.latestOne?.run_id;
      if (change.kind === 'all' || mine || watched) {
        void this.refresh();
      }
    }, this);
  }

  /** The newest replay of the bytes that the patch has now; what was replayed before them says nothing. */
  get latestOne(): Replay | null {
    return this.replays.find(({ current }) => current) ?? null;
  }

  /** Whether a replay is on its way. */
  get running(): boolean {
    const last = this.latestOne;
    return this.starting || (last !== null && !isFinal(last.status));
  }

  refresh(): Promise<void> {
    return this.latest.run();
  }

  async start(): Promise<void> {
    if (this.running) {
      return;
    }
    this.starting = true;
    this.error = null;
    this.emitChange();
    try {
      await this.client.review.replay(this.patchId);
      await this.refresh();
    } catch (error) {
      this.error = asProblem(error);
    } finally {
      this.starting = false;
      this.emitChange();
    }
  }

  private async load(): Promise<void> {
    try {
      this.replays = await this.client.review.replays(this.patchId);
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
    }
    this.emitChange();
  }

  private readonly patchId: string;
  private readonly latest = new Latest(() => this.load());
}

import { asProblem, type DevStudioClient, type Lease, type ProblemError, type Run } from '@renum/devstudio-api-client';

import { Model } from './base';
import type { Changes } from './changes';
import { Latest } from './latest';

/** The leases that open the network to a run: its own, its task's and its project's. */
export class LeasesModel extends Model {
  leases: Lease[] = [];
  error: ProblemError | null = null;
  busy = false;

  constructor(
    readonly run: Run,
    private readonly client: DevStudioClient,
    changes: Changes
  ) {
    super();
    changes.happened.connect((_, change) => {
      if (change.kind === 'run' || change.kind === 'all') {
        void this.refresh();
      }
    }, this);
  }

  refresh(): Promise<void> {
    return this.latest.run();
  }

  approve(lease: Lease): Promise<void> {
    return this.decide(() => this.client.approveLease(lease.id));
  }

  deny(lease: Lease, reason: string): Promise<void> {
    return this.decide(() => this.client.denyLease(lease.id, reason));
  }

  private async decide(work: () => Promise<unknown>): Promise<void> {
    if (this.busy) {
      return;
    }
    this.busy = true;
    this.error = null;
    this.emitChange();
    try {
      await work();
      await this.refresh();
    } catch (error) {
      this.error = asProblem(error);
    }
    this.busy = false;
    this.emitChange();
  }

  private async load(): Promise<void> {
    try {
      const { items } = await this.client.leases({ project_id: this.run.project_id, limit: 100 });
      this.leases = items.filter(lease => concerns(lease, this.run));
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
    }
    this.emitChange();
  }

  private readonly latest = new Latest(() => this.load());
}

/** Whether a lease is for a run, as the server decides it, and still matters or mattered while the run was there. */
export function concerns(lease: Lease, run: Run): boolean {
  const meant =
    (lease.task_id === null || lease.task_id === run.task_id) && (lease.run_id === null || lease.run_id === run.id);
  const over = lease.expires_at !== null && run.started_at !== null && lease.expires_at < run.started_at;
  const usable = lease.status === 'approved' || lease.status === 'requested' || lease.approved_at !== null;
  return meant && usable && !over;
}

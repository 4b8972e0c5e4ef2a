import {
  asProblem,
  type DevStudioClient,
  type FileComparison,
  type Patch,
  type PatchPreview,
  type ProblemError,
  type Run,
  type Task
} from '@renum/devstudio-api-client';

import type { Access } from './access';
import { Model } from './base';
import type { Change, Changes } from './changes';
import { Latest } from './latest';
import type { DiffLayout, ReviewMarks } from './review-marks';
import { isFinal } from './steps';

/** A patch under review: its bytes, where it stands, and what a person does about it. */
export class PatchModel extends Model {
  patch: Patch | null = null;
  preview: PatchPreview | null = null;
  run: Run | null = null;
  task: Task | null = null;
  error: ProblemError | null = null;
  /** An error of approve, reject or apply; what is shown stays. */
  actionError: ProblemError | null = null;
  busy = false;

  constructor(
    readonly id: string,
    private readonly client: DevStudioClient,
    private readonly changes: Changes,
    private readonly access: Access,
    private readonly marks: ReviewMarks
  ) {
    super();
    changes.happened.connect((_, change) => {
      if (this.concerns(change) && !this.busy) {
        void this.refresh();
      }
    }, this);
  }

  refresh(): Promise<void> {
    return this.latest.run();
  }

  private async load(): Promise<void> {
    try {
      const [patch, preview] = await Promise.all([
        this.client.patch(this.id),
        this.preview ?? this.client.previewPatch(this.id) // the bytes of a patch never change
      ]);
      this.run = patch.run_id === null ? null : await this.client.run(patch.run_id);
      this.task ??= await this.client.task(patch.task_id);
      this.patch = patch;
      this.preview = preview;
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
    }
    this.emitChange();
  }

  get canDecide(): boolean {
    return this.patch?.status === 'pending' && this.preview !== null && !this.busy;
  }

  /** Whether this person may approve: with the permission, and not what they asked for themselves in a team. */
  get canApprove(): boolean {
    return this.canDecide && !this.isOwn && this.access.missing('approvePatch') === null;
  }

  /** Whether somebody else has to approve, because this person asked for the patch. */
  get isOwn(): boolean {
    return this.patch !== null && this.access.isOwn(this.patch);
  }

  get canApply(): boolean {
    return this.patch?.status === 'approved' && !this.busy && (this.run === null || isFinal(this.run.status));
  }

  /** Approve the bytes that are shown. */
  async approve(): Promise<void> {
    const digest = this.preview?.digest;
    if (this.canApprove && digest !== undefined) {
      await this.act(() => this.client.approvePatch(this.id, digest));
    }
  }

  /** Reject with a reason, which the next generation for the task receives. Returns whether it was taken. */
  async reject(reason: string): Promise<boolean> {
    return this.canDecide && (await this.act(() => this.client.rejectPatch(this.id, reason))) !== null;
  }

  /** Queue the run that applies and tests; returns its id. */
  async apply(): Promise<string | null> {
    if (!this.canApply) {
      return null;
    }
    const result = await this.act(() => this.client.applyPatch(this.id));
    return result?.run_id ?? null;
  }

  /** How the person likes to read changes; the same for every patch. */
  get layout(): DiffLayout {
    return this.marks.layout;
  }

  setLayout(layout: DiffLayout): void {
    this.marks.layout = layout;
    this.emitChange();
  }

  isViewed(file: FileComparison): boolean {
    return this.marks.isViewed(file);
  }

  setViewed(file: FileComparison, viewed: boolean): void {
    this.marks.setViewed(file, viewed);
    this.emitChange();
  }

  private concerns(change: Change): boolean {
    return change.kind === 'all' || (change.kind === 'task' && change.taskId === this.patch?.task_id);
  }

  private async act<T>(call: () => Promise<T>): Promise<T | null> {
    this.busy = true;
    this.actionError = null;
    this.emitChange();
    try {
      const result = await call();
      if (this.patch !== null) {
        this.changes.emit({ kind: 'task', taskId: this.patch.task_id });
      }
      return result;
    } catch (error) {
      this.actionError = asProblem(error);
      return null;
    } finally {
      this.busy = false;
      await this.refresh();
    }
  }

  private readonly latest = new Latest(() => this.load());
}

import {
  asProblem,
  type DevStudioClient,
  type FileComparison,
  type Patch,
  type PatchPreview,
  type PatchRevision,
  type ProblemError,
  type RebaseConflict,
  type Run,
  type Task
} from '@renum/devstudio-api-client';

import type { Access } from './access';
import { Model } from './base';
import type { Change, Changes } from './changes';
import { Latest } from './latest';
import { PatchEdits } from './patch-edits';
import type { DiffLayout, ReviewMarks } from './review-marks';
import { isFinal } from './steps';

/** A patch under review: its bytes, where it stands, and what a person does about it. */
export class PatchModel extends Model {
  patch: Patch | null = null;
  preview: PatchPreview | null = null;
  run: Run | null = null;
  task: Task | null = null;
  error: ProblemError | null = null;
  /** An error of a deed; what is shown stays. */
  actionError: ProblemError | null = null;
  busy = false;
  /** What the last deed did that is not on the screen otherwise. */
  done: 'saved' | 'rebased' | 'current' | null = null;
  /** Where the patch and its branch both changed the same lines; empty when nothing has to be decided. */
  conflicts: readonly RebaseConflict[] = [];
  revisions: readonly PatchRevision[] | null = null;
  readonly edits: PatchEdits;

  constructor(
    readonly id: string,
    private readonly client: DevStudioClient,
    private readonly changes: Changes,
    private readonly access: Access,
    private readonly marks: ReviewMarks
  ) {
    super();
    this.edits = new PatchEdits(marks);
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
      const patch = await this.client.patch(this.id);
      this.preview = await this.currentPreview(patch);
      this.run = patch.run_id === null ? null : await this.client.run(patch.run_id);
      this.task ??= await this.client.task(patch.task_id);
      this.patch = patch;
      this.error = null;
      if (this.revisions !== null) {
        this.revisions = await this.client.review.revisions(this.id);
      }
    } catch (error) {
      this.error = asProblem(error);
    }
    this.emitChange();
  }

  /** The files of a revision never change; whether its base is the newest commit does, until it is applied. */
  private async currentPreview(patch: Patch): Promise<PatchPreview> {
    const known = this.preview;
    if (known?.digest === patch.digest && (patch.status === 'applied' || patch.status === 'rejected')) {
      return known;
    }
    const fresh = await this.client.previewPatch(this.id);
    return known?.digest === fresh.digest && patch.revision === this.patch?.revision
      ? { ...fresh, files: known.files } // the same objects, so that what shows them stays as it is
      : fresh;
  }

  /** Whether anything about the patch may still be decided or changed. */
  get isOpen(): boolean {
    return this.patch?.status === 'pending' || this.patch?.status === 'approved';
  }

  get canReject(): boolean {
    return this.isOpen && this.preview !== null && !this.busy;
  }

  /** Whether this person may approve: with the permission, by the policy, and with nothing typed that is not saved. */
  get canApprove(): boolean {
    return (
      this.patch?.status === 'pending' &&
      this.patch.review.may_approve &&
      this.preview?.digest === this.patch.digest &&
      !this.busy &&
      this.edits.isEmpty &&
      this.access.missing('approvePatch') === null
    );
  }

  /** Whether this person wrote, changed or asked for the patch. */
  get isOwn(): boolean {
    return this.patch !== null && (this.access.isOwn(this.patch) || this.ownRoles.length > 0);
  }

  get canApply(): boolean {
    return this.patch?.status === 'approved' && !this.busy && (this.run === null || isFinal(this.run.status));
  }

  /** Approve the bytes that are shown. */
  async approve(): Promise<void> {
    const digest = this.preview?.digest;
    const revision = this.patch?.revision;
    if (this.canApprove && digest !== undefined && revision !== undefined) {
      await this.act(() => this.client.approvePatch(this.id, digest, revision));
    }
  }

  /** Reject with a reason, which the next generation for the task receives. Returns whether it was taken. */
  async reject(reason: string): Promise<boolean> {
    return this.canReject && (await this.act(() => this.client.rejectPatch(this.id, reason))) !== null;
  }

  /** Whether an approval of this person's counts, so that it can be taken back. */
  get canWithdraw(): boolean {
    const me = this.access.me?.user_id;
    const mine = this.patch?.approvals.some(({ user_id, counts }) => counts && user_id === me) ?? false;
    return mine && this.isOpen && !this.busy;
  }

  /** Take one's own approval back. */
  async withdraw(): Promise<void> {
    await this.act(() => this.client.review.withdraw(this.id));
  }

  /** Queue the run that applies and tests; returns its id. */
  async apply(): Promise<string | null> {
    if (!this.canApply) {
      return null;
    }
    const result = await this.act(() => this.client.applyPatch(this.id));
    return result?.run_id ?? null;
  }

  /** Make a patch that takes this one back; returns its id. */
  async revert(reason: string): Promise<string | null> {
    const patch = await this.act(() => this.client.review.revert(this.id, reason));
    return patch?.id ?? null;
  }

  /** Make it a patch for the branch as it is now; without resolutions, conflicts are shown and nothing changes. */
  async rebase(resolutions: Record<string, string | null> = {}): Promise<void> {
    const result = await this.act(() => this.client.review.rebase(this.id, resolutions));
    if (result !== null) {
      this.conflicts = result.conflicts;
      this.done = result.conflicts.length > 0 ? null : 'rebased';
      this.emitChange();
    }
  }

  dropConflicts(): void {
    this.conflicts = [];
    this.emitChange();
  }

  /** Save what was typed as a new revision; approvals are void then. */
  async saveEdits(): Promise<void> {
    const { patch, preview } = this;
    if (patch === null || preview === null || this.edits.isEmpty || this.edits.stale(preview.digest).length > 0) {
      return;
    }
    const files = this.edits.texts;
    if ((await this.act(() => this.client.review.edit(this.id, patch.version, { files }))) !== null) {
      this.edits.discard();
      this.done = 'saved';
      this.emitChange();
    }
  }

  startEdit(file: FileComparison): void {
    this.edits.open(file.path);
    this.emitChange();
  }

  type(file: FileComparison, text: string): void {
    if (this.preview !== null) {
      this.edits.type(file, text, this.preview.digest);
      this.done = null;
      this.emitChange();
    }
  }

  /** Go on with what was typed although somebody else changed the patch. */
  keepEdits(): void {
    if (this.preview !== null) {
      this.edits.keep(this.preview.digest);
      this.emitChange();
    }
  }

  discardEdits(path?: string): void {
    this.edits.discard(path);
    this.emitChange();
  }

  /** Load what the patch was before, or hide it again. */
  async toggleRevisions(): Promise<void> {
    if (this.revisions !== null) {
      this.revisions = null;
    } else {
      try {
        this.revisions = await this.client.review.revisions(this.id);
      } catch (error) {
        this.actionError = asProblem(error);
      }
    }
    this.emitChange();
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

  /** What this person did to the patch; empty when nothing. */
  get ownRoles(): readonly string[] {
    const me = this.access.me?.user_id;
    const mine = this.patch?.contributors.find(({ user_id }) => user_id === me);
    return this.access.team ? (mine?.roles ?? []) : [];
  }

  private concerns(change: Change): boolean {
    return change.kind === 'all' || (change.kind === 'task' && change.taskId === this.patch?.task_id);
  }

  private async act<T>(call: () => Promise<T>): Promise<T | null> {
    if (this.busy) {
      return null;
    }
    this.busy = true;
    this.actionError = null;
    this.done = null;
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

import type { Client } from 'openapi-fetch';

import type { paths } from '../src/schema';
import { take } from './answers';
import type {
  Patch,
  PatchEdit,
  PatchRevision,
  PatchUpload,
  Rebase,
  Replay,
  ReviewPolicy,
  ReviewPolicyWrite,
  TaskEvidence
} from './types';

/** The part of the API about the review of patches: their bytes, who decides about them, and what they prove. */
export class ReviewClient {
  constructor(
    private readonly http: Client<paths>,
    private readonly download: (path: string) => Promise<Blob>
  ) {}

  /** Hand in a patch that was made elsewhere. */
  upload(body: PatchUpload): Promise<Patch> {
    return take(this.http.POST('/api/v1/code/patches', { body }));
  }

  /** Give a patch other bytes; every approval is void then. A `version` that is not the current one is refused with 412. */
  edit(patch_id: string, version: number, body: PatchEdit): Promise<Patch> {
    const header = { 'If-Match': `"${String(version)}"` };
    return take(this.http.PUT('/api/v1/code/patches/{patch_id}', { params: { path: { patch_id }, header }, body }));
  }

  /** Make a patch one for the branch as it is now. Conflicts come back and nothing is stored; resolutions are stored. */
  rebase(patch_id: string, resolutions: Record<string, string | null> = {}): Promise<Rebase> {
    return take(
      this.http.POST('/api/v1/code/patches/{patch_id}/rebase', { params: { path: { patch_id } }, body: { resolutions } })
    );
  }

  /** Make a patch that takes an applied one back. */
  revert(patch_id: string, reason: string): Promise<Patch> {
    return take(
      this.http.POST('/api/v1/code/patches/{patch_id}/revert', { params: { path: { patch_id } }, body: { reason } })
    );
  }

  /** What a patch was, the oldest first. */
  async revisions(patch_id: string): Promise<PatchRevision[]> {
    const { items } = await take(
      this.http.GET('/api/v1/code/patches/{patch_id}/revisions', { params: { path: { patch_id } } })
    );
    return items;
  }

  /** Take one's own approval back. */
  withdraw(patch_id: string): Promise<Patch> {
    return take(this.http.POST('/api/v1/code/patches/{patch_id}/withdraw', { params: { path: { patch_id } } }));
  }

  /** Have a patch made and tested again, without a network; returns the run. */
  async replay(patch_id: string): Promise<string> {
    const path = { patch_id };
    return (await take(this.http.POST('/api/v1/code/patches/{patch_id}/replay', { params: { path } }))).run_id;
  }

  /** The replays of a patch, the newest first. */
  async replays(patch_id: string): Promise<Replay[]> {
    const path = { patch_id };
    return (await take(this.http.GET('/api/v1/code/patches/{patch_id}/replays', { params: { path } }))).items;
  }

  policy(project_id: string): Promise<ReviewPolicy> {
    return take(this.http.GET('/api/v1/projects/{project_id}/review-policy', { params: { path: { project_id } } }));
  }

  setPolicy(project_id: string, version: number, body: ReviewPolicyWrite): Promise<ReviewPolicy> {
    const header = { 'If-Match': `"${String(version)}"` };
    return take(
      this.http.PUT('/api/v1/projects/{project_id}/review-policy', { params: { path: { project_id }, header }, body })
    );
  }

  /** What proves each criterion of a task, or why nothing does. */
  evidence(task_id: string): Promise<TaskEvidence> {
    return take(this.http.GET('/api/v1/tasks/{task_id}/evidence', { params: { path: { task_id } } }));
  }

  /** A file that shows what was asked, changed, approved and proven, to be verified without this server. */
  bundle(about: { task_id: string } | { session_id: string }): Promise<Blob> {
    const query = new URLSearchParams(Object.entries(about));
    return this.download(`api/v1/evidence/bundle?${query.toString()}`);
  }
}

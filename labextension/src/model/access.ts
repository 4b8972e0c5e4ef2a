import { asProblem, type DevStudioClient, type Me, type Patch, type ProblemError } from '@renum/devstudio-api-client';

import { Model } from './base';

/** The permission of each deed, as the server asks for it. A test compares this with `x-permission` in openapi.yaml. */
export const PERMISSIONS = {
  createProject: 'spec:create',
  createSession: 'spec:create',
  updateSession: 'spec:update',
  plan: 'spec:update',
  acceptProposal: 'spec:update',
  approveDocument: 'code:approve',
  generateCode: 'code:generate',
  approvePatch: 'code:approve',
  rejectPatch: 'code:approve',
  applyPatch: 'code:apply',
  uploadPatch: 'code:generate',
  editPatch: 'code:generate',
  replayPatch: 'code:approve',
  setPolicy: 'policy:update',
  exportEvidence: 'audit:read',
  cancelRun: 'exec:run',
  startRun: 'exec:run',
  requestLease: 'exec:run',
  approveLease: 'egress:approve',
  openRun: 'exec:view_logs',
  setBudget: 'budget:update',
  setAgentSettings: 'spec:update'
} as const;

export type Deed = keyof typeof PERMISSIONS;

/** Who is signed in, and what they may do. The server decides; this only tells people beforehand. */
export class Access extends Model {
  me: Me | null = null;
  /** Whether the sign-in of a team's member has ended, while the page is still open. */
  signedOut = false;
  /** Whether somebody else signed in in this browser, so that the page shows another person's state. */
  replaced = false;
  error: ProblemError | null = null;

  constructor(private readonly client: DevStudioClient) {
    super();
  }

  /** Settles when who is signed in was asked for the first time, whatever came of it. */
  get ready(): Promise<void> {
    this.first ??= this.load();
    return this.first;
  }

  /** Whether the answer is on its way. */
  get asking(): boolean {
    return this.loading !== null;
  }

  /** Whether several people work on this server, each with roles of their own. */
  get team(): boolean {
    return this.me?.mode === 'team';
  }

  /** Ask who is signed in. */
  async load(): Promise<void> {
    this.loading ??= this.ask().finally(() => {
      this.loading = null;
      this.emitChange();
    });
    return this.loading;
  }

  /**
   * Tell how a request was answered. A refusal may mean that the sign-in, the roles or the person are no longer what they
   * were, and an answer that the person is back.
   */
  answered(status: number): void {
    if (this.first === null || this.asking) {
      return;
    }
    const refused = this.team && !this.signedOut && [401, 403, 404].includes(status);
    const back = (this.signedOut || this.me === null) && status < 400;
    if (refused || back) {
      void this.load();
    }
  }

  /** The permission that is missing for a deed; null when it is there, and while nothing is known. */
  missing(deed: Deed): string | null {
    const permission = PERMISSIONS[deed];
    return this.me === null || this.me.permissions.includes(permission) ? null : permission;
  }

  /** Whether the rule of two people keeps this person from approving a patch: they asked for it themselves. */
  isOwn(patch: Pick<Patch, 'created_by'>): boolean {
    return this.team && patch.created_by === this.me?.user_id;
  }

  /** Marks what is kept in the browser as this person's; empty where there is only one. */
  get owner(): string {
    return this.team ? (this.me?.user_id ?? '') : '';
  }

  private async ask(): Promise<void> {
    const before = this.me;
    try {
      this.me = await this.client.me();
      this.replaced ||= before !== null && (before.user_id !== this.me.user_id || before.tenant_id !== this.me.tenant_id);
      this.signedOut = false;
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
      this.signedOut ||= this.team && this.error.status === 401;
    }
  }

  private first: Promise<void> | null = null;
  private loading: Promise<void> | null = null;
}

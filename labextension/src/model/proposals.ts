import {
  asProblem,
  type DevStudioClient,
  type ProblemError,
  type Proposal,
  type ProposalBlock,
  type ProposalSummary,
  type Session
} from '@renum/devstudio-api-client';

interface IListener {
  /** What is shown changed. */
  changed: () => void;
  /** The documents are what the server says now. */
  accepted: (session: Session) => void;
}

/** What a model proposes for the documents of a session, and what the person decides about it. */
export class Proposals {
  /** The one that waits for a decision. */
  open: Proposal | null = null;
  /** The newest one, when it was refused: its reason reaches the next plan. */
  rejected: ProposalSummary | null = null;
  /** What is being decided: a block's id, or `all`. */
  deciding: string | null = null;
  error: ProblemError | null = null;

  constructor(
    private readonly sessionId: string,
    private readonly client: DevStudioClient,
    private readonly listener: IListener
  ) {}

  /** The blocks that somebody has to decide about, in the order of the documents. */
  get blocks(): readonly ProposalBlock[] {
    return this.open === null ? [] : this.open.blocks.filter(block => block.kind !== 'same');
  }

  async load(): Promise<void> {
    const { items } = await this.client.planning.proposals(this.sessionId);
    const [newest] = items;
    const open = items.find(({ status }) => status === 'open');
    this.open = open === undefined ? null : await this.client.planning.proposal(open.id);
    this.rejected = newest?.status === 'rejected' ? newest : null;
  }

  /** Show a proposal that was just made. */
  offer(proposal: Proposal): void {
    this.open = proposal;
    this.rejected = null;
    this.error = null;
    this.listener.changed();
  }

  /** Take over one block, or everything that is left. */
  async accept(blockId: string | null = null): Promise<boolean> {
    return this.decide(blockId ?? 'all', async id => {
      const { proposal, session } = await this.client.planning.accept(id, blockId === null ? null : [blockId]);
      this.open = proposal.status === 'open' ? proposal : null;
      this.listener.accepted(session);
    });
  }

  async reject(reason: string): Promise<boolean> {
    return this.decide('all', async id => {
      this.rejected = await this.client.planning.reject(id, reason);
      this.open = null;
    });
  }

  private async decide(what: string, work: (proposalId: string) => Promise<void>): Promise<boolean> {
    if (this.open === null || this.deciding !== null) {
      return false;
    }
    this.deciding = what;
    this.error = null;
    this.listener.changed();
    try {
      await work(this.open.id);
      return true;
    } catch (error) {
      this.error = asProblem(error);
      return false;
    } finally {
      this.deciding = null;
      this.listener.changed();
    }
  }
}

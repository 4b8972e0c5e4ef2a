import type { Client } from 'openapi-fetch';

import type { paths } from '../src/schema';
import { take } from './answers';
import type { DocumentType, Lint, Page, Proposal, ProposalAccepted, ProposalSummary, Session } from './types';

/** The part of the API about what a model proposes for documents, and what people decide about them. */
export class PlanningClient {
  constructor(private readonly http: Client<paths>) {}

  /** The proposals of a session without their texts, the newest first. */
  proposals(session_id: string): Promise<Page<ProposalSummary>> {
    return take(
      this.http.GET('/api/v1/spec-sessions/{session_id}/proposals', { params: { path: { session_id }, query: { limit: 20 } } })
    );
  }

  proposal(proposal_id: string): Promise<Proposal> {
    return take(this.http.GET('/api/v1/proposals/{proposal_id}', { params: { path: { proposal_id } } }));
  }

  /** Take a proposal over into the documents: these blocks, or all. */
  accept(proposal_id: string, blocks: string[] | null = null): Promise<ProposalAccepted> {
    return take(
      this.http.POST('/api/v1/proposals/{proposal_id}/accept', { params: { path: { proposal_id } }, body: { blocks } })
    );
  }

  /** Refuse a proposal; the next plan of its stage reads the reason. */
  reject(proposal_id: string, reason: string): Promise<Proposal> {
    return take(
      this.http.POST('/api/v1/proposals/{proposal_id}/reject', { params: { path: { proposal_id } }, body: { reason } })
    );
  }

  /** Approve a document as it stands in `version`. */
  approve(session_id: string, document: DocumentType, version: number): Promise<Session> {
    return take(
      this.http.POST('/api/v1/spec-sessions/{session_id}/documents/{document}/approve', {
        params: { path: { session_id, document } },
        body: { version }
      })
    );
  }

  /** Make an approved document a draft again. */
  reopen(session_id: string, document: DocumentType): Promise<Session> {
    return take(
      this.http.POST('/api/v1/spec-sessions/{session_id}/documents/{document}/reopen', {
        params: { path: { session_id, document } }
      })
    );
  }

  /** What looks wrong in a session's documents, and how they cover each other. */
  lint(session_id: string): Promise<Lint> {
    return take(this.http.GET('/api/v1/spec-sessions/{session_id}/lint', { params: { path: { session_id } } }));
  }
}

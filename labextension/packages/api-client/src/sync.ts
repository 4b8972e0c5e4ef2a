import type { Client } from 'openapi-fetch';

import type { components, paths } from '../src/schema';
import { take } from './answers';
import type { Page } from './types';

type Schemas = components['schemas'];

export type Conflict = Schemas['ConflictRead'];
export type ConflictAnswer = Schemas['ResolveConflict'];
export type ConflictResolved = Schemas['ResolveResult'];
export type Synced = Schemas['SyncRead'];

/** The part of the API about the files of a session: what other programs wrote, and what could not be merged. */
export class SyncClient {
  constructor(private readonly http: Client<paths>) {}

  /** Take in what was changed in the session's files. */
  run(session_id: string): Promise<Synced> {
    return take(
      this.http.POST('/api/v1/spec-sessions/{session_id}/sync', { params: { path: { session_id } }, body: { source: 'all' } })
    );
  }

  /** The conflicts of a session, the newest first; those that were answered stay with their texts. */
  conflicts(session_id: string): Promise<Page<Conflict>> {
    return take(
      this.http.GET('/api/v1/spec-sessions/{session_id}/conflicts', { params: { path: { session_id }, query: { limit: 200 } } })
    );
  }

  /** Answer a conflict; one that is no longer as it was shown is refused with 412. */
  resolve(conflict_id: string, version: number, body: ConflictAnswer): Promise<ConflictResolved> {
    const headers = { 'If-Match': `"${String(version)}"` };
    return take(this.http.POST('/api/v1/conflicts/{conflict_id}/resolve', { params: { path: { conflict_id } }, headers, body }));
  }
}

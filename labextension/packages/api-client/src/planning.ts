import type { Client } from 'openapi-fetch';

import type { paths } from '../src/schema';
import { take } from './answers';
import type { Lint } from './types';

/** The part of the API about what models propose for documents, and what people decide about them. */
export class PlanningClient {
  constructor(private readonly http: Client<paths>) {}

  /** What looks wrong in a session's documents, and how they cover each other. */
  lint(session_id: string): Promise<Lint> {
    return take(this.http.GET('/api/v1/spec-sessions/{session_id}/lint', { params: { path: { session_id } } }));
  }
}

import type { Client } from 'openapi-fetch';

import type { paths } from '../src/schema';
import { take } from './answers';
import type { AgentSettings, AgentSettingsWrite, Budget, BudgetWrite, CostQuery, CostReport, Model, Optimized, OptimizeRequest } from './types';

/** The part of the API about models: which there are, how they are used, and what that costs. */
export class AiClient {
  constructor(private readonly http: Client<paths>) {}

  async models(): Promise<Model[]> {
    return (await take(this.http.GET('/api/v1/ai/models'))).items;
  }

  /** What would be sent to a model for a task or a session, part by part, and what that costs; nothing is sent. */
  optimize(body: OptimizeRequest): Promise<Optimized> {
    return take(this.http.POST('/api/v1/ai/optimize', { body }));
  }

  /** What calls of models cost, summed by what the query says. */
  costs(query: CostQuery = {}): Promise<CostReport> {
    return take(this.http.GET('/api/v1/ai/costs', { params: { query } }));
  }

  /** What the tenant may spend, and has spent. */
  budget(): Promise<Budget> {
    return take(this.http.GET('/api/v1/budgets'));
  }

  /** Set the tenant's budget; a `version` that is no longer the current one is refused with 412. */
  setBudget(version: number, body: BudgetWrite): Promise<Budget> {
    const header = { 'If-Match': `"${String(version)}"` };
    return take(this.http.PUT('/api/v1/budgets', { params: { header }, body }));
  }

  agentSettings(project_id: string): Promise<AgentSettings> {
    return take(this.http.GET('/api/v1/projects/{project_id}/agent-settings', { params: { path: { project_id } } }));
  }

  /** Set all agent settings of a project; a `version` that is no longer the current one is refused with 412. */
  setAgentSettings(project_id: string, version: number, body: AgentSettingsWrite): Promise<AgentSettings> {
    const header = { 'If-Match': `"${String(version)}"` };
    return take(
      this.http.PUT('/api/v1/projects/{project_id}/agent-settings', { params: { path: { project_id }, header }, body })
    );
  }
}

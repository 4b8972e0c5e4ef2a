import { asProblem, type Budget, type CostGroup, type CostReport, type DevStudioClient, type ProblemError } from '@renum/devstudio-api-client';

import { Model } from './base';
import type { Changes } from './changes';
import { Latest } from './latest';

/** What costs can be summed by, in the order in which people ask. */
export const GROUPS: readonly CostGroup[] = ['model', 'operation', 'session', 'task', 'criterion', 'day'];

/** The share of a budget from which on there is a warning. */
export const WARN_SHARE = 0.8;

/** What the models of a tenant cost in a month, and its budget. */
export class CostsModel extends Model {
  report: CostReport | null = null;
  budget: Budget | null = null;
  error: ProblemError | null = null;
  loading = false;
  group: CostGroup = 'model';
  /** The month that is shown, as `2026-01`, in UTC as budgets are. */
  month: string;

  constructor(
    private readonly client: DevStudioClient,
    changes: Changes,
    now: Date = new Date()
  ) {
    super();
    this.month = now.toISOString().slice(0, 7);
    changes.happened.connect((_, change) => {
      if (change.kind === 'task' || change.kind === 'documents' || change.kind === 'all') {
        void this.refresh();
      }
    }, this);
  }

  refresh(): Promise<void> {
    return this.latest.run();
  }

  setGroup(group: CostGroup): void {
    this.group = group;
    void this.refresh();
  }

  setMonth(month: string): void {
    if (/^\d{4}-(0[1-9]|1[0-2])$/.test(month)) {
      this.month = month;
      void this.refresh();
    }
  }

  /** Set the limit in US dollars; null takes it away. Throws what the server says. */
  async setLimit(limit: number | null): Promise<Budget> {
    const { period, version } = this.budget ?? { period: 'month' as const, version: 0 };
    this.budget = await this.client.ai.setBudget(version, { limit, period });
    this.emitChange();
    return this.budget;
  }

  private async load(): Promise<void> {
    this.loading = true;
    this.emitChange();
    const { group, month } = this;
    try {
      const [report, budget] = await Promise.all([
        this.client.ai.costs({ group_by: group, ...spanOf(month) }),
        this.client.ai.budget()
      ]);
      Object.assign(this, { report, budget, error: null });
    } catch (error) {
      this.error = asProblem(error);
    } finally {
      this.loading = false;
      this.emitChange();
    }
  }

  private readonly latest = new Latest(() => this.load());
}

/** A month, from its first moment to that of the next one. */
export function spanOf(month: string): { from: string; to: string } {
  const [year = 0, number = 1] = month.split('-').map(Number);
  return { from: new Date(Date.UTC(year, number - 1)).toISOString(), to: new Date(Date.UTC(year, number)).toISOString() };
}

/** The rows of a report for a spreadsheet: numbers as programs read them, texts that no spreadsheet takes for a formula. */
export function csvOf(report: CostReport): string {
  const rows = report.items.map(item => [
    safe(item.key ?? ''),
    safe(item.label),
    ...[item.calls, item.tokens_input, item.tokens_output, item.cost].map(String)
  ]);
  const head = ['key', 'label', 'calls', 'tokens_input', 'tokens_output', 'cost_usd'];
  return [head, ...rows].map(row => row.map(quoted).join(',')).join('\r\n') + '\r\n';
}

function safe(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

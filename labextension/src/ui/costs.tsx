import type { TranslationBundle } from '@jupyterlab/translation';
import type { Budget, CostGroup, CostReport } from '@renum/devstudio-api-client';
import * as React from 'react';

import { runIcon } from '../icons';
import { csvOf, GROUPS, WARN_SHARE, type CostsModel } from '../model/costs';
import type { IDevStudio } from '../tokens';
import { Button, Empty, ErrorBox, Spinner } from './common';
import { useStudio } from './context';
import { openForm } from './form';
import { formatCost } from './format';
import { useMissing } from './permission';
import { StudioView } from './view';

/** What models cost, and the budget. */
export class CostsView extends StudioView<CostsModel> {
  constructor(studio: IDevStudio, model: CostsModel) {
    super(studio, model, { id: 'devstudio-costs', icon: runIcon, label: studio.trans.__('AI cost'), className: 'devstudio-Run' });
  }

  protected override body(): React.JSX.Element {
    return <Costs model={this.model} />;
  }
}

function groupName(group: CostGroup, trans: TranslationBundle): string {
  const names = {
    model: trans.__('Model'),
    operation: trans.__('Operation'),
    project: trans.__('Project'),
    session: trans.__('Session'),
    task: trans.__('Task'),
    criterion: trans.__('Accepted criterion'),
    day: trans.__('Day')
  };
  return names[group];
}

function Costs({ model }: { model: CostsModel }): React.JSX.Element {
  const { trans } = useStudio();
  const { report, budget, error } = model;
  return (
    <div className="devstudio-CostsBody" data-testid="costs-view">
      {error !== null && <ErrorBox error={error} onRetry={() => void model.refresh()} />}
      {budget !== null && <BudgetBar model={model} budget={budget} />}
      <Choices model={model} />
      {report === null && error === null && <Spinner />}
      {report !== null && report.items.length === 0 && (
        <Empty text={trans.__('No model was called in this month.')}>
          <Button label={trans.__('Refresh')} onClick={() => void model.refresh()} />
        </Empty>
      )}
      {report !== null && report.items.length > 0 && <Table report={report} group={model.group} />}
    </div>
  );
}

/** What is spent and reserved of the budget, with the line from which on there is a warning. */
function BudgetBar({ model, budget }: { model: CostsModel; budget: Budget }): React.JSX.Element {
  const studio = useStudio();
  const { trans, locale } = studio;
  const missing = useMissing()('setBudget');
  const { limit, left } = budget;
  const spent = budget.spent ?? 0;
  const reserved = budget.reserved ?? 0;
  const share = limit === null ? 0 : limit === 0 ? 1 : spent / limit;
  const tone = share >= 1 ? 'bad' : share >= WARN_SHARE ? 'warn' : 'good';
  const words =
    limit === null
      ? trans.__('%1 spent; there is no budget', formatCost(spent, locale))
      : trans.__('%1 of %2 spent, %3 left', formatCost(spent, locale), formatCost(limit, locale), formatCost(left ?? 0, locale));
  return (
    <section className="devstudio-Budget" aria-label={trans.__('Budget')} data-testid="budget" data-tone={tone}>
      <div className="devstudio-Row">
        <h3>{budget.period === 'month' ? trans.__('This month') : trans.__('In total')}</h3>
        <span data-testid="budget-words">{words}</span>
        {reserved > 0 && <span className="devstudio-Faint">{trans.__('%1 reserved by calls under way', formatCost(reserved, locale))}</span>}
        <Button
          label={limit === null ? trans.__('Set a budget…') : trans.__('Change…')}
          testid="budget-set"
          blocked={missing}
          onClick={() => void askBudget(studio, model, budget)}
        />
      </div>
      {limit !== null && (
        <div
          className={`devstudio-Bar devstudio-mod-${tone}`}
          role="meter"
          aria-label={trans.__('Spent of the budget')}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.min(100, Math.round(share * 100))}
          aria-valuetext={words}
        >
          <span style={{ width: `${String(Math.min(100, share * 100))}%` }} />
          <i style={{ left: `${String(WARN_SHARE * 100)}%` }} title={trans.__('From 80 % on there is a warning')} />
        </div>
      )}
      {share >= WARN_SHARE && limit !== null && (
        <p className="devstudio-Warning" role="status">
          {share >= 1 ? trans.__('The budget is used up: calls of models are refused.') : trans.__('More than 80 % of the budget is used.')}
        </p>
      )}
    </section>
  );
}

function askBudget(studio: IDevStudio, model: CostsModel, budget: Budget): Promise<Budget | null> {
  const { trans } = studio;
  return openForm(studio, {
    title: trans.__('Budget'),
    submitLabel: trans.__('Save'),
    fields: [
      {
        name: 'limit',
        label: trans.__('Limit in US$'),
        kind: 'number',
        value: budget.limit === null ? '' : String(budget.limit),
        hint: trans.__('Empty: no limit. 0: nothing that costs is let through.')
      }
    ],
    submit: values => model.setLimit((values.limit ?? '').trim() === '' ? null : Number(values.limit))
  });
}

function Choices({ model }: { model: CostsModel }): React.JSX.Element {
  const { trans } = useStudio();
  const { report } = model;
  return (
    <div className="devstudio-Row devstudio-Choices">
      <label className="devstudio-Field">
        <span>{trans.__('By')}</span>
        <select
          className="jp-mod-styled"
          data-testid="costs-group"
          value={model.group}
          onChange={event => {
            model.setGroup(event.target.value as CostGroup);
          }}
        >
          {GROUPS.map(group => (
            <option key={group} value={group}>
              {groupName(group, trans)}
            </option>
          ))}
        </select>
      </label>
      <label className="devstudio-Field">
        <span>{trans.__('Month (UTC)')}</span>
        <input
          type="month"
          className="jp-mod-styled"
          data-testid="costs-month"
          value={model.month}
          onChange={event => {
            model.setMonth(event.target.value);
          }}
        />
      </label>
      <Button
        label={trans.__('CSV')}
        title={trans.__('Download the table')}
        testid="costs-csv"
        blocked={report === null || report.items.length === 0 ? trans.__('There is nothing to download') : null}
        onClick={() => {
          if (report !== null) {
            download(csvOf(report), `ai-cost-${model.month}-${model.group}.csv`);
          }
        }}
      />
      <Button label={trans.__('Refresh')} testid="costs-refresh" onClick={() => void model.refresh()} />
    </div>
  );
}

function download(text: string, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** The groups with a bar each, which shows its share of the largest. */
function Table({ report, group }: { report: CostReport; group: CostGroup }): React.JSX.Element {
  const { trans, locale } = useStudio();
  const largest = Math.max(...report.items.map(({ cost }) => cost));
  const number = (value: number): string => value.toLocaleString(locale);
  return (
    <table className="devstudio-RunTable devstudio-CostTable" data-testid="costs-table">
      <thead>
        <tr>
          <th>{groupName(group, trans)}</th>
          <th className="devstudio-Number">{trans.__('Calls')}</th>
          <th className="devstudio-Number">{trans.__('Tokens in')}</th>
          <th className="devstudio-Number">{trans.__('Tokens out')}</th>
          <th className="devstudio-Number">{trans.__('Cost')}</th>
          <th aria-hidden="true" />
        </tr>
      </thead>
      <tbody>
        {report.items.map((item, at) => (
          <tr key={item.key ?? `rest-${String(at)}`} data-testid="cost-row">
            <td>{item.label === '' ? trans.__('(other)') : item.label}</td>
            <td className="devstudio-Number">{number(item.calls)}</td>
            <td className="devstudio-Number">{number(item.tokens_input)}</td>
            <td className="devstudio-Number">{number(item.tokens_output)}</td>
            <td className="devstudio-Number">{formatCost(item.cost, locale)}</td>
            <td className="devstudio-CostShare" aria-hidden="true">
              <span style={{ width: `${String(largest === 0 ? 0 : (item.cost / largest) * 100)}%` }} />
            </td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th>{trans.__('Total')}</th>
          <td className="devstudio-Number">{number(report.total.calls)}</td>
          <td className="devstudio-Number">{number(report.total.tokens_input)}</td>
          <td className="devstudio-Number">{number(report.total.tokens_output)}</td>
          <td className="devstudio-Number">{formatCost(report.total.cost, locale)}</td>
          <td aria-hidden="true" />
        </tr>
      </tfoot>
    </table>
  );
}

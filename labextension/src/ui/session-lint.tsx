import type { DocumentType, SpecCoverage } from '@renum/devstudio-api-client';
import * as React from 'react';

import type { SessionModel } from '../model/session';
import { Chip } from './common';
import { useStudio } from './context';

const TONES = { error: 'bad', warning: 'warn', info: 'neutral' } as const;

/** What looks wrong in a document: where, what, and what to write instead. Each goes to its place. */
export function Warnings({ model, kind }: { model: SessionModel; kind: DocumentType }): React.JSX.Element | null {
  const { trans } = useStudio();
  const warnings = model.warningsOf(kind);
  if (warnings.length === 0) {
    return null;
  }
  return (
    <ul className="devstudio-Warnings" tabIndex={-1} aria-label={trans.__('Warnings')} data-testid="doc-warnings">
      {warnings.map(({ line, column, code, severity, key, message, suggestion }, at) => (
        <li key={`${String(at)}-${code}`} data-testid="doc-warning" data-code={code}>
          <button
            type="button"
            className="devstudio-Link"
            title={trans.__('Go to line %1, column %2', line, column ?? 1)}
            onClick={() => {
              model.goTo(kind, line, column ?? 1);
            }}
          >
            {trans.__('Line %1', line)}
          </button>{' '}
          <Chip tone={TONES[severity ?? 'warning']} title={trans.__('The rule %1', code)}>
            {code}
          </Chip>{' '}
          {key !== undefined && key !== '' && <strong>{key} </strong>}
          {message}
          {suggestion !== undefined && suggestion !== '' && <span className="devstudio-Faint"> {suggestion}</span>}
        </li>
      ))}
    </ul>
  );
}

/** How requirements and tasks cover each other; nothing while there is nothing to cover. */
export function CoverageBox({ model }: { model: SessionModel }): React.JSX.Element | null {
  const { trans } = useStudio();
  const coverage = model.lint?.coverage;
  if (coverage === undefined || coverage.criteria === 0 || coverage.tasks === 0) {
    return null;
  }
  const covered = coverage.criteria - coverage.criteria_without_task.length;
  return (
    <section className="devstudio-Box" aria-label={trans.__('Coverage')} data-testid="coverage">
      <h3>{trans.__('Coverage')}</h3>
      <div className="devstudio-Row">
        <progress value={covered} max={coverage.criteria} aria-label={trans.__('Criteria with a task')} />
        <span>{trans.__('%1 of %2 criteria have a task', covered, coverage.criteria)}</span>
      </div>
      <Gaps coverage={coverage} />
    </section>
  );
}

function Gaps({ coverage }: { coverage: SpecCoverage }): React.JSX.Element | null {
  const { trans } = useStudio();
  const unknown = Object.entries(coverage.unknown_criteria).map(([task, keys]) => `${task} → ${keys.join(', ')}`);
  const gaps = [
    { name: trans.__('Criteria without a task'), keys: coverage.criteria_without_task, testid: 'criteria-without-task' },
    { name: trans.__('Tasks without a criterion'), keys: coverage.tasks_without_criterion, testid: 'tasks-without-criterion' },
    { name: trans.__('Criteria that nobody wrote'), keys: unknown, testid: 'unknown-criteria' }
  ].filter(({ keys }) => keys.length > 0);
  return gaps.length === 0 ? null : (
    <dl className="devstudio-Gaps">
      {gaps.map(({ name, keys, testid }) => (
        <React.Fragment key={testid}>
          <dt>{name}</dt>
          <dd className="devstudio-Row" data-testid={testid}>
            {keys.map(key => (
              <Chip key={key} tone="warn">
                {key}
              </Chip>
            ))}
          </dd>
        </React.Fragment>
      ))}
    </dl>
  );
}

import type { Optimized } from '@renum/devstudio-api-client';
import * as React from 'react';

import type { Generation } from '../model/generation';
import { Button, ErrorBox, Spinner } from './common';
import { useStudio } from './context';
import { formatCost } from './format';

/** What a generation would send and cost, and the button that starts it. Without an estimate it can be started, too. */
export function StartBox(props: { generation: Generation; onStart: () => void; onRetry: () => void }): React.JSX.Element {
  const { trans } = useStudio();
  const { generation, onStart, onRetry } = props;
  const { estimate, estimateError } = generation;
  const box = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => {
    box.current?.querySelector<HTMLElement>('[data-testid="task-start"]')?.focus();
  }, []);
  return (
    <div
      ref={box}
      className="devstudio-Note devstudio-Work"
      role="group"
      aria-label={trans.__('Start the generation?')}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          generation.leave();
        }
      }}
    >
      {estimate === null && estimateError === null && (
        <span className="devstudio-Row" role="status">
          <Spinner /> {trans.__('Estimating…')}
        </span>
      )}
      {estimateError !== null && <ErrorBox error={estimateError} onRetry={onRetry} />}
      {estimate !== null && <Estimate estimate={estimate} />}
      <div className="devstudio-Row">
        <Button kind="primary" label={trans.__('Start')} testid="task-start" onClick={onStart} />
        <Button
          label={trans.__('Cancel')}
          testid="task-start-cancel"
          onClick={() => {
            generation.leave();
          }}
        />
      </div>
    </div>
  );
}

function Estimate({ estimate }: { estimate: Optimized }): React.JSX.Element {
  const { trans, locale } = useStudio();
  const number = (value: number): string => value.toLocaleString(locale);
  const { tokens, cost } = estimate.after;
  const price = cost === null ? trans.__('price unknown') : formatCost(cost, locale);
  return (
    <>
      <span data-testid="start-estimate" role="status">
        {trans.__('About %1 tokens are sent in the first call to %2: %3, and what it answers.', number(tokens), estimate.model, price)}
      </span>
      <details>
        <summary>{trans.__('What is sent')}</summary>
        <ul className="devstudio-RoundFailures">
          {estimate.parts.map((part, at) => (
            <li key={at} title={part.why}>
              {part.name} <span className="devstudio-Faint">{trans.__('%1 tokens', number(part.tokens))}</span>
              {part.cut !== null && <span className="devstudio-Faint"> · {part.cut}</span>}
            </li>
          ))}
        </ul>
      </details>
      {estimate.warnings.map(text => (
        <span key={text} className="devstudio-Faint">
          {text}
        </span>
      ))}
    </>
  );
}

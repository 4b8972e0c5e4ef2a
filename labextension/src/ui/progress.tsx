import * as React from 'react';

import type { Operation } from '../model/operation';
import { Button, Spinner } from './common';
import { useNow, useStudio } from './context';
import { formatCost, formatElapsed } from './format';

/** A long call at work: its phase, how long it takes, what it used, and Stop. */
export function ProgressLine(props: { operation: Operation; testid: string }): React.JSX.Element {
  const { trans } = useStudio();
  const { operation } = props;
  const now = useNow(true);
  const { phase, message, tokens_input, tokens_output, cost_estimated } = operation.progress;
  const parts = [message ?? phase ?? trans.__('Working'), formatElapsed(now - operation.startedAt)];
  if (tokens_input !== undefined || tokens_output !== undefined) {
    parts.push(trans.__('%1 tokens', ((tokens_input ?? 0) + (tokens_output ?? 0)).toLocaleString()));
  }
  if (cost_estimated !== undefined) {
    parts.push(formatCost(cost_estimated));
  }
  return (
    <div className="devstudio-Row devstudio-Progress" role="status" data-testid={props.testid}>
      <Spinner />
      <span>{parts.join(' · ')}</span>
      <Button
        label={trans.__('Stop')}
        onClick={() => {
          operation.stop();
        }}
      />
    </div>
  );
}

import * as React from 'react';

import type { Operation } from '../model/operation';
import { Button, Spinner } from './common';
import { useNow, useStudio } from './context';
import { formatCost, formatElapsed } from './format';
import { PartialText, StreamedPane } from './stream';

/** A long call at work: its phase, how long it takes, what it used, Stop, and what the model writes. */
export function ProgressLine(props: { operation: Operation; testid: string; streams?: boolean }): React.JSX.Element {
  const { trans, locale } = useStudio();
  const { operation } = props;
  const now = useNow(true);
  const { phase, message, tokens_input, tokens_output, cost_estimated } = operation.progress;
  const parts = [formatElapsed(now - operation.startedAt)];
  if (tokens_input !== undefined || tokens_output !== undefined) {
    parts.push(trans.__('%1 tokens', ((tokens_input ?? 0) + (tokens_output ?? 0)).toLocaleString(locale)));
  }
  if (cost_estimated !== undefined) {
    parts.push(formatCost(cost_estimated, locale));
  }
  return (
    <div className="devstudio-Work">
      <div className="devstudio-Row devstudio-Progress" data-testid={props.testid}>
        <Spinner />
        <span>
          <span role="status">{message ?? phase ?? trans.__('Working')}</span>
          {' · '}
          {parts.join(' · ')}
        </span>
        <Button
          label={trans.__('Stop')}
          testid={`${props.testid}-stop`}
          onClick={() => {
            operation.stop();
          }}
        />
      </div>
      {props.streams !== false && <StreamedPane streamed={operation.streamed} live={true} />}
    </div>
  );
}

/** What a call that did not come to its end left; nothing when it left nothing. */
export function Leftover({ operation }: { operation: Operation }): React.JSX.Element | null {
  return operation.leftPartial ? <PartialText operation={operation} /> : null;
}

import type { TranslationBundle } from '@jupyterlab/translation';
import type { Failure, FixRound, GenerateResult } from '@renum/devstudio-api-client';
import * as React from 'react';

import type { Generation } from '../model/generation';
import type { SessionModel } from '../model/session';
import { CommandIds } from '../tokens';
import { Chip } from './common';
import { useStudio } from './context';
import { formatCost } from './format';

/** So many failures of a round are listed; the run has all. */
const MOST_SHOWN = 5;

/** How the tests of each proposal of the model went, why that ended, and what to know about the result. */
export function FixRounds(props: { model: SessionModel; generation: Generation }): React.JSX.Element | null {
  const { trans } = useStudio();
  const { model, generation } = props;
  const { rounds, result } = generation;
  if (rounds.length === 0 && result === null) {
    return null;
  }
  const end = result === null ? null : endOf(result, trans);
  return (
    <div className="devstudio-Work" data-testid="fix-rounds">
      {rounds.length > 0 && (
        <ol className="devstudio-Rounds" aria-label={trans.__('Rounds')}>
          {rounds.map(round => (
            <Round key={round.round} round={round} projectId={model.session?.project_id ?? ''} />
          ))}
        </ol>
      )}
      {end !== null && (
        <p className="devstudio-Note" data-testid="fix-end">
          {end}
        </p>
      )}
      {(result?.warnings ?? []).map(text => (
        <p key={text} className="devstudio-Warning" data-testid="generate-warning">
          {text}
        </p>
      ))}
    </div>
  );
}

function Round({ round, projectId }: { round: FixRound; projectId: string }): React.JSX.Element {
  const { trans, commands, locale } = useStudio();
  const good = round.failed === 0 && round.status === 'success';
  return (
    <li data-testid="fix-round" data-round={round.round}>
      <div className="devstudio-Row">
        <strong>{trans.__('Round %1', round.round)}</strong>
        <Chip tone={good ? 'good' : 'bad'}>
          {good
            ? trans._n('%1 test passed', '%1 tests passed', round.passed, round.passed)
            : trans.__('%1 failed, %2 passed', round.failed, round.passed)}
        </Chip>
        <span className="devstudio-Faint">{formatCost(round.usage.cost_estimated, locale)}</span>
        {round.run_id !== null && (
          <button
            type="button"
            className="devstudio-Link"
            onClick={() => void commands.execute(CommandIds.openRunLogs, { runId: round.run_id })}
          >
            {trans.__('log')}
          </button>
        )}
      </div>
      {round.failures.length > 0 && (
        <ul className="devstudio-RoundFailures">
          {round.failures.slice(0, MOST_SHOWN).map((failure, at) => (
            <li key={at} data-testid="fix-failure">
              <Place failure={failure} projectId={projectId} /> {failure.name}
              {failure.message !== '' && <span className="devstudio-Faint">: {failure.message}</span>}
            </li>
          ))}
          {round.failures.length > MOST_SHOWN && (
            <li className="devstudio-Faint">{trans.__('and %1 more', round.failures.length - MOST_SHOWN)}</li>
          )}
        </ul>
      )}
    </li>
  );
}

/** Where a test failed. The file opens as it is in the person's folder, where a file of the proposal may not be yet. */
function Place({ failure, projectId }: { failure: Failure; projectId: string }): React.JSX.Element | null {
  const { commands } = useStudio();
  const { file, line } = failure;
  if (file == null) {
    return null;
  }
  return (
    <button
      type="button"
      className="devstudio-Link"
      onClick={() => void commands.execute(CommandIds.openFileAt, { projectId, file, line: line ?? 1 })}
    >
      {line == null ? file : `${file}:${String(line)}`}
    </button>
  );
}

/** Why the rounds ended; null where the list says it all. */
function endOf({ stopped, tested }: GenerateResult, trans: TranslationBundle): string | null {
  const untested = tested ? '' : ` ${trans.__('The patch itself was not tested.')}`;
  const ends = {
    passed: trans.__('The tests passed in the sandbox.'),
    rounds: trans.__('All rounds are used up; the best proposal became the patch.'),
    stuck: trans.__('The model came no further; the best proposal became the patch.'),
    budget: trans.__('The budget left no room for another round.'),
    'no sandbox': trans.__('There was no sandbox to test in.'),
    stopped: trans.__('The rounds were stopped; the best proposal became the patch.'),
    'no tests': trans.__('The project has no tests that could be run.'),
    model: trans.__('The model gave no usable answer to the failures.'),
    offline: null
  };
  const end = stopped === null ? null : ends[stopped];
  return end === null ? null : end + untested;
}

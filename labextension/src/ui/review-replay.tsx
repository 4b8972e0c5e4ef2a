import type { Patch, Replay } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ReplayModel } from '../model/review-replay';
import { isFinal } from '../model/steps';
import { CommandIds } from '../tokens';
import { Button, Chip, ErrorBox, Spinner } from './common';
import { useStudio } from './context';
import { useMissing } from './permission';
import { runStatusName } from './status';

/** Makes and tests a patch again, and says in words what came out the same and what did not. */
export function ReplayBox({ patch }: { patch: Patch }): React.JSX.Element {
  const { trans, client, changes } = useStudio();
  const missing = useMissing();
  const { id, task_id, revision } = patch;
  const model = React.useMemo(() => new ReplayModel({ id, task_id }, client, changes), [id, task_id, client, changes]);
  const [, setTurn] = React.useState(0);
  React.useEffect(() => {
    model.stateChanged.connect(() => {
      setTurn(turn => turn + 1);
    });
    return () => {
      model.dispose();
    };
  }, [model]);
  React.useEffect(() => {
    void model.refresh();
  }, [model, revision]);
  const last = model.latestOne;
  return (
    <section aria-label={trans.__('Replay')} data-testid="patch-replay">
      {patch.status !== 'rejected' && (
        <Button
          label={last === null ? trans.__('Replay') : trans.__('Replay again')}
          title={trans.__('Make the patch again from what was recorded, and test it in a clean sandbox without a network')}
          testid="replay-start"
          blocked={model.running ? trans.__('A replay is at work') : missing('replayPatch')}
          onClick={() => void model.start()}
        />
      )}
      {model.starting && <Spinner />}
      {last !== null && <Result replay={last} />}
      {model.error !== null && <ErrorBox error={model.error} onRetry={() => void model.refresh()} />}
    </section>
  );
}

function Result({ replay }: { replay: Replay }): React.JSX.Element {
  const { trans, commands, locale } = useStudio();
  const missing = useMissing();
  const done = isFinal(replay.status);
  const same = done && replay.mismatches.length === 0;
  return (
    <div className="devstudio-Replay" role="status" data-testid="replay-result" data-same={done ? same : 'waiting'}>
      <Chip tone={done ? (same ? 'good' : 'bad') : 'info'}>
        {done
          ? same
            ? trans.__('Came out the same')
            : trans.__('Came out differently')
          : trans.__('Replay: %1', runStatusName(replay.status, trans))}
      </Chip>
      {done && (
        <>
          {replay.mismatches.length > 0 && (
            <ul className="devstudio-Warnings" data-testid="replay-mismatches">
              {replay.mismatches.map(text => (
                <li key={text}>{text}</li>
              ))}
            </ul>
          )}
          <Comparison replay={replay} />
        </>
      )}
      <div className="devstudio-Faint">
        {trans.__('by %1, %2', replay.by, new Date(replay.at).toLocaleString(locale))}
      </div>
      <Button
        label={trans.__('Open the run')}
        testid="replay-run"
        blocked={missing('openRun')}
        onClick={() => void commands.execute(CommandIds.openRunLogs, { runId: replay.run_id })}
      />
    </div>
  );
}

function matchName(matches: boolean | null, trans: TranslationBundle): string {
  return matches === null ? trans.__('nothing to compare with') : matches ? trans.__('the same') : trans.__('differs');
}

/** Each thing that was compared, with its answer. */
function Comparison({ replay }: { replay: Replay }): React.JSX.Element {
  const { trans } = useStudio();
  const { model, digest, tree, artifacts, tests } = replay;
  const differing = artifacts.filter(({ matches }) => matches === false).length;
  const artifactsSay =
    artifacts.length === 0
      ? trans.__('none')
      : differing === 0
        ? trans._n('%1, the same', '%1, all the same', artifacts.length)
        : trans.__('%1 of %2 differ', differing, artifacts.length);
  const passed = trans._n('%1 passed', '%1 passed', tests.passed);
  const testsSay =
    tests.failed > 0
      ? trans.__('%1, %2 failed', passed, tests.failed)
      : tests.differing.length > 0
        ? trans.__('%1, %2 ended otherwise than before', passed, tests.differing.length)
        : passed;
  const rows: readonly [string, string, string][] = [
    ['model', trans.__('Answers of the model'), model.recorded ? matchName(model.matches, trans) : trans.__('not recorded')],
    ['digest', trans.__('Bytes of the patch'), matchName(digest.matches, trans)],
    ['tree', trans.__('Tree'), matchName(tree.matches, trans)],
    ['artifacts', trans.__('Artifacts'), artifactsSay],
    ['tests', trans.__('Tests'), testsSay]
  ];
  return (
    <dl className="devstudio-Facts">
      {rows.map(([name, label, says]) => (
        <React.Fragment key={name}>
          <dt>{label}</dt>
          <dd data-testid={`replay-${name}`}>{says}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}

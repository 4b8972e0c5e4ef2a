import type { Artifact, Coverage, Failure, Run, TestOutcome } from '@renum/devstudio-api-client';
import * as React from 'react';

import type { RunModel } from '../model/run';
import { CommandIds } from '../tokens';
import { Button, Chip } from './common';
import { useStudio } from './context';
import { formatSize } from './format';
import { saveBlob } from './run-log';

const MOST_FILES = 200;

/** What a run found and left: failures first. */
export function Report({ model, run }: { model: RunModel; run: Run }): React.JSX.Element {
  return (
    <div className="devstudio-Report">
      {run.failures.length > 0 && <Failures run={run} failures={run.failures} />}
      <Tests run={run} tests={run.tests} />
      {run.coverage != null && <CoverageTable run={run} coverage={run.coverage} />}
      {run.artifacts.length > 0 && <Artifacts model={model} artifacts={run.artifacts} />}
    </div>
  );
}

/** Where a failure or a test is; a click opens the file there. */
function Place(props: { run: Run; file: string; line: number | null | undefined }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const text = props.line == null ? props.file : `${props.file}:${String(props.line)}`;
  return (
    <button
      type="button"
      className="devstudio-Link"
      data-testid="open-at-line"
      title={trans.__('Open %1', text)}
      onClick={() =>
        void commands.execute(CommandIds.openFileAt, {
          projectId: props.run.project_id,
          file: props.file,
          line: props.line ?? 1
        })
      }
    >
      {text}
    </button>
  );
}

function Failures({ run, failures }: { run: Run; failures: readonly Failure[] }): React.JSX.Element {
  const { trans } = useStudio();
  return (
    <section className="devstudio-Tests" aria-label={trans.__('Failures')} data-testid="run-failures">
      <h3>{trans._n('%1 failure', '%1 failures', failures.length)}</h3>
      <ul>
        {failures.map((failure, at) => (
          <li key={at} data-testid="run-failure">
            <div className="devstudio-TestName">{failure.name}</div>
            {failure.file != null && <Place run={run} file={failure.file} line={failure.line} />}
            {failure.message !== undefined && failure.message !== '' && <pre tabIndex={0}>{failure.message}</pre>}
          </li>
        ))}
      </ul>
    </section>
  );
}

const OUTCOMES: Record<string, 'good' | 'bad' | 'warn'> = { passed: 'good', failed: 'bad', error: 'bad' };

function Tests({ run, tests }: { run: Run; tests: readonly TestOutcome[] }): React.JSX.Element {
  const { trans } = useStudio();
  const passed = tests.filter(test => test.outcome === 'passed').length;
  return (
    <section className="devstudio-Tests" aria-label={trans.__('Tests')} data-testid="run-tests">
      <h3>{tests.length === 0 ? trans.__('Tests') : trans.__('%1 of %2 tests passed', passed, tests.length)}</h3>
      {tests.length === 0 && <p className="devstudio-Faint">{trans.__('The run reported no tests.')}</p>}
      {tests.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>{trans.__('Outcome')}</th>
              <th>{trans.__('Test')}</th>
              <th>{trans.__('Proves')}</th>
            </tr>
          </thead>
          <tbody>
            {tests.map((test, at) => (
              <tr key={`${test.name}-${String(at)}`} data-testid="run-test" data-outcome={test.outcome}>
                <td>
                  <Chip tone={OUTCOMES[test.outcome] ?? 'warn'}>{test.outcome}</Chip>
                </td>
                <td>
                  <div className="devstudio-TestName">{test.name}</div>
                  {test.file != null && (
                    <div className="devstudio-Faint">
                      <Place run={run} file={test.file} line={test.line} />
                    </div>
                  )}
                  {test.message !== undefined && test.message !== '' && <pre tabIndex={0}>{test.message}</pre>}
                </td>
                <td>{test.criteria.join(', ')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** How much of the code the tests ran, the least covered files first. */
function CoverageTable({ run, coverage }: { run: Run; coverage: Coverage }): React.JSX.Element {
  const { trans } = useStudio();
  const files = [...coverage.files].sort((a, b) => share(a) - share(b));
  return (
    <section className="devstudio-Tests" aria-label={trans.__('Coverage')} data-testid="run-coverage">
      <h3>
        {trans.__('%1 % covered: %2 of %3 lines', coverage.percent.toFixed(1), coverage.lines_covered, coverage.lines_total)}
      </h3>
      <table>
        <thead>
          <tr>
            <th>{trans.__('Covered')}</th>
            <th>{trans.__('File')}</th>
          </tr>
        </thead>
        <tbody>
          {files.slice(0, MOST_FILES).map(file => (
            <tr key={file.path}>
              <td className="devstudio-Number">{`${(share(file) * 100).toFixed(0)} %`}</td>
              <td>
                <Place run={run} file={file.path} line={null} />{' '}
                <span className="devstudio-Faint">{trans.__('%1 of %2 lines', file.covered, file.total)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {files.length > MOST_FILES && (
        <p className="devstudio-Faint">{trans.__('%1 more files', files.length - MOST_FILES)}</p>
      )}
    </section>
  );
}

function share(file: { covered: number; total: number }): number {
  return file.total === 0 ? 1 : file.covered / file.total;
}

function Artifacts({ model, artifacts }: { model: RunModel; artifacts: readonly Artifact[] }): React.JSX.Element {
  const { trans } = useStudio();
  const save = async (name: string): Promise<void> => {
    const blob = await model.download(name);
    if (blob !== null) {
      saveBlob(blob, name.split('/').at(-1) ?? name);
    }
  };
  return (
    <section className="devstudio-Tests" aria-label={trans.__('Artifacts')} data-testid="run-artifacts">
      <h3>{trans._n('%1 artifact', '%1 artifacts', artifacts.length)}</h3>
      <ul>
        {artifacts.map(artifact => (
          <li key={artifact.name} className="devstudio-Row" data-testid="run-artifact">
            <span className="devstudio-TestName">{artifact.name}</span>
            <span className="devstudio-Faint" title={`sha256 ${artifact.sha256}`}>
              {formatSize(artifact.size)}
            </span>
            <Button
              label={trans.__('Download')}
              name={trans.__('Download %1', artifact.name)}
              testid="artifact-download"
              onClick={() => void save(artifact.name)}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

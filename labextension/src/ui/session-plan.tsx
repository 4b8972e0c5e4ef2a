import type { Stage } from '@renum/devstudio-api-client';
import * as React from 'react';

import type { SessionModel } from '../model/session';
import { Button, ErrorBox, ModelSelect, UsageLine } from './common';
import { useStudio } from './context';
import { useKeptFocus } from './focus';
import { useMissing } from './permission';
import { ProgressLine } from './progress';

/** Ask a model to write documents: which, with what prompt, by which model. */
export function PlanBox({ model, aiModel, onAiModel }: IPlanProps): React.JSX.Element {
  const studio = useStudio();
  const { trans } = studio;
  const [stage, setStage] = React.useState<Stage>('all');
  const [prompt, setPrompt] = React.useState('');
  const { planning, usage } = model;
  const box = useKeptFocus<HTMLElement>(planning.running, '[data-testid="plan-submit"]');
  const missing = useMissing()('plan');
  const plan = (): void => {
    if (missing === null) {
      void model.plan(stage, prompt, aiModel);
    }
  };
  return (
    <section ref={box} tabIndex={-1} className="devstudio-Box" aria-label={trans.__('Plan')}>
      <h3>{trans.__('Plan')}</h3>
      <div className="devstudio-Fields">
        <label className="devstudio-Field">
          <span>{trans.__('What to write')}</span>
          <select
            className="jp-mod-styled"
            data-testid="plan-stage"
            value={stage}
            onChange={event => {
              setStage(event.target.value as Stage);
            }}
          >
            <option value="all">{trans.__('All')}</option>
            <option value="requirements">{trans.__('Requirements')}</option>
            <option value="design">{trans.__('Design')}</option>
            <option value="tasks">{trans.__('Tasks')}</option>
          </select>
        </label>
        <ModelSelect models={studio.model.models} value={aiModel} onChange={onAiModel} testid="plan-model" />
      </div>
      <label className="devstudio-Field">
        <span>{trans.__('Prompt')}</span>
        <textarea
          className="jp-mod-styled"
          rows={3}
          readOnly={missing !== null}
          data-testid="plan-prompt"
          placeholder={trans.__('What should it do? What is already written is read too.')}
          value={prompt}
          onChange={event => {
            setPrompt(event.target.value);
          }}
          onKeyDown={event => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              plan();
            }
          }}
        />
      </label>
      {planning.running ? (
        <ProgressLine operation={planning} testid="plan-progress" streams={false} />
      ) : (
        <div className="devstudio-Row">
          <Button kind="primary" label={trans.__('Generate')} testid="plan-submit" blocked={missing} onClick={plan} />
          <span className="devstudio-Faint">{missing ?? trans.__('Ctrl+Enter')}</span>
        </div>
      )}
      {planning.error !== null && <ErrorBox error={planning.error} onRetry={plan} />}
      {usage !== null && !planning.running && <UsageLine usage={usage} testid="plan-usage" />}
      {!planning.running &&
        model.notes.map(text => (
          <p key={text} className="devstudio-Warning" data-testid="plan-note">
            {text}
          </p>
        ))}
    </section>
  );
}

interface IPlanProps {
  model: SessionModel;
  aiModel: string;
  onAiModel: (id: string) => void;
}

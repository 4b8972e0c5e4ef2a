import type { AgentSettings, Model as AiModel } from '@renum/devstudio-api-client';

import { fieldsOf, settingsOf } from '../model/agent-settings';
import type { IDevStudio } from '../tokens';
import { modelName } from './common';
import { openForm, type IField } from './form';
import { formatCost } from './format';

/** Show which model works on a project and within which limits, and take what the person changes; null when cancelled. */
export async function askAgentSettings(studio: IDevStudio, projectId: string): Promise<AgentSettings | null> {
  const { trans, client } = studio;
  const [settings, models, project] = await Promise.all([
    client.ai.agentSettings(projectId),
    client.ai.models(),
    client.project(projectId)
  ]);
  return openForm(studio, {
    title: trans.__('AI settings of %1', project.name),
    submitLabel: trans.__('Save'),
    fields: fields(studio, settings, models),
    submit: values => client.ai.setAgentSettings(projectId, settings.version, settingsOf(values, settings))
  });
}

function fields(studio: IDevStudio, settings: AgentSettings, models: readonly AiModel[]): IField[] {
  const { trans } = studio;
  const values = fieldsOf(settings);
  const options = models.map(model => ({ value: model.id, label: describe(model, studio) }));
  const known = models.some(({ id }) => id === settings.model);
  const gone = { value: settings.model, label: trans.__('%1 (not offered now)', settings.model) };
  const list: IField[] = [
    {
      name: 'model',
      label: trans.__('Model'),
      kind: 'select',
      options: known ? options : [gone, ...options],
      hint: trans.__('Prices are for a million tokens in and out.')
    },
    { name: 'temperature', label: trans.__('Temperature'), kind: 'number', step: 0.1 },
    {
      name: 'max_tokens',
      label: trans.__('Tokens in one reply, at most'),
      kind: 'number',
      step: 1,
      hint: trans.__('A reply that is longer is cut and cannot be used.')
    },
    {
      name: 'fallback',
      label: trans.__('Instead, while the model cannot be reached'),
      kind: 'checks',
      options,
      hint: trans.__('They are asked in the order in which you tick them, and never after a model has begun to answer.')
    },
    {
      name: 'fix_rounds',
      label: trans.__('Rounds of fixing failed tests'),
      kind: 'number',
      step: 1,
      hint: trans.__('Empty: the server’s default. 0: generated code is not tested before the review.')
    },
    {
      name: 'call_limit_usd',
      label: trans.__('Limit of one call in US$'),
      kind: 'number',
      hint: trans.__('Empty: no limit of its own.')
    },
    {
      name: 'require_approved_stages',
      label: trans.__('Plan a stage only when the one before is approved'),
      kind: 'check'
    }
  ];
  return list.map(field => ({ ...field, value: values[field.name] ?? '' }));
}

/** A model with its price and how much it can read. */
function describe(model: AiModel, { trans, locale }: IDevStudio): string {
  const parts = [modelName(model.provider, model.name, trans)];
  if (model.price_input !== null && model.price_output !== null) {
    parts.push(trans.__('%1 in, %2 out', formatCost(model.price_input, locale), formatCost(model.price_output, locale)));
  } else {
    parts.push(trans.__('price unknown'));
  }
  if (model.context_window !== null) {
    parts.push(trans.__('%1 tokens of context', model.context_window.toLocaleString(locale)));
  }
  return parts.join(' · ');
}

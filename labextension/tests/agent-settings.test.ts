import type { AgentSettings } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { fieldsOf, settingsOf } from '../src/model/agent-settings';
import { json, MemoryServer, problem } from './support/server';

const SETTINGS: AgentSettings = {
  project_id: 'p',
  model: 'a',
  model_provider: 'openai',
  temperature: 0.7,
  max_tokens: 4000,
  policy: { fallback: ['b', 'c'], fix_rounds: 0, of_another_version: 'kept' },
  token_limits: { plan: 100 },
  version: 3,
  updated_at: null
};

test('a form that nobody touched says the same again', () => {
  const { model, temperature, max_tokens, policy, token_limits } = SETTINGS;
  expect(settingsOf(fieldsOf(SETTINGS), SETTINGS)).toEqual({ model, temperature, max_tokens, policy, token_limits });
});

test('what a person sets is sent, and what they empty is left to the server', () => {
  const values = {
    ...fieldsOf(SETTINGS),
    model: 'b',
    temperature: '0',
    fix_rounds: '',
    call_limit_usd: '0.25',
    require_approved_stages: 'true'
  };
  const sent = settingsOf(values, SETTINGS);
  expect([sent.model, sent.temperature]).toEqual(['b', 0]);
  // A model does not stand in for itself.
  expect(sent.policy).toEqual({ fallback: ['c'], call_limit_usd: 0.25, require_approved_stages: true, of_another_version: 'kept' });
  expect(SETTINGS.policy.fix_rounds).toBe(0);
});

test('a refusal names the field, and a stale form is refused', async () => {
  const route = 'PUT projects/p/agent-settings';
  const server = new MemoryServer().on(route, request =>
    request.headers.get('If-Match') === '"3"'
      ? problem(422, 'Invalid input', 'wrong', [{ loc: ['body', 'policy', 'fix_rounds'], msg: 'at most 5' }])
      : json(SETTINGS)
  );
  const body = settingsOf({ ...fieldsOf(SETTINGS), fix_rounds: '9' }, SETTINGS);
  const refused: unknown = await server.client.ai.setAgentSettings('p', 3, body).catch((error: unknown) => error);
  expect(refused).toMatchObject({ status: 422, fields: new Map([['fix_rounds', 'at most 5']]) });
});

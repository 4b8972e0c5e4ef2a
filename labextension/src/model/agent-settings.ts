import type { AgentSettings, AgentSettingsWrite } from '@renum/devstudio-api-client';

/** The rules that a person sets by name; a policy may hold more, which stay as they are. */
const FALLBACK = 'fallback';
const FIX_ROUNDS = 'fix_rounds';
const CALL_LIMIT = 'call_limit_usd';
const APPROVED_STAGES = 'require_approved_stages';

/** The settings as the fields of a form hold them: every value is a text. */
export function fieldsOf(settings: AgentSettings): Record<string, string> {
  const { model, temperature, max_tokens, policy } = settings;
  const fallback = policy[FALLBACK];
  return {
    model,
    temperature: String(temperature),
    max_tokens: String(max_tokens),
    [FALLBACK]: Array.isArray(fallback) ? fallback.map(String).join('\n') : '',
    [FIX_ROUNDS]: numberText(policy[FIX_ROUNDS]),
    [CALL_LIMIT]: numberText(policy[CALL_LIMIT]),
    [APPROVED_STAGES]: policy[APPROVED_STAGES] === true ? 'true' : ''
  };
}

/** The settings to send: `before` with what the fields say. An empty field leaves a rule to the server's default. */
export function settingsOf(values: Record<string, string>, before: AgentSettings): AgentSettingsWrite {
  const policy = { ...before.policy };
  const fallback = (values[FALLBACK] ?? '').split('\n').filter(id => id !== '' && id !== values.model);
  const rules: Record<string, unknown> = {
    [FALLBACK]: fallback.length === 0 ? undefined : fallback,
    [FIX_ROUNDS]: numberOf(values[FIX_ROUNDS]),
    [CALL_LIMIT]: numberOf(values[CALL_LIMIT]),
    [APPROVED_STAGES]: values[APPROVED_STAGES] === 'true' ? true : undefined
  };
  for (const [name, rule] of Object.entries(rules)) {
    if (rule === undefined) {
      Reflect.deleteProperty(policy, name);
    } else {
      policy[name] = rule;
    }
  }
  const { temperature, max_tokens } = before;
  return {
    model: values.model ?? before.model,
    temperature: numberOf(values.temperature) ?? temperature,
    max_tokens: numberOf(values.max_tokens) ?? max_tokens,
    policy,
    token_limits: before.token_limits as Record<string, number> // numbers, by the rules under which they were written
  };
}

function numberText(value: unknown): string {
  return typeof value === 'number' || typeof value === 'string' ? String(value) : '';
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined || text.trim() === '' ? undefined : Number(text);
}

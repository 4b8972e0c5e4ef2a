import type { CostReport } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { Changes } from '../src/model/changes';
import { CostsModel, csvOf, spanOf } from '../src/model/costs';
import { json, MemoryServer, problem } from './support/server';

const ROW = { calls: 2, tokens_input: 1000, tokens_output: 100, tokens_cache_read: 0, tokens_cache_write: 0, cost: 0.0125 };
const REPORT = { items: [{ ...ROW, key: 'a', label: 'A' }], total: ROW, budget: null } as unknown as CostReport;
const BUDGET = { scope: 'tenant', period: 'month', limit: 10, spent: 8.5, reserved: 0, left: 1.5, version: 2 };

async function open(server: MemoryServer): Promise<CostsModel> {
  server.on('GET ai/costs', () => json(REPORT)).on('GET budgets', () => json(BUDGET));
  const model = new CostsModel(server.client, new Changes(), new Date('2026-12-31T23:00:00Z'));
  await model.refresh();
  return model;
}

test('a month is asked for whole, also the last of a year', async () => {
  expect(spanOf('2026-12')).toEqual({ from: '2026-12-01T00:00:00.000Z', to: '2027-01-01T00:00:00.000Z' });
  const server = new MemoryServer();
  const model = await open(server);
  model.setGroup('task');
  model.setMonth('2026-02');
  model.setMonth('nonsense');
  await model.refresh();
  const query = new URL(server.requests.findLast(({ url }) => url.includes('ai/costs'))?.url ?? '').searchParams;
  expect(Object.fromEntries(query)).toEqual({ group_by: 'task', from: '2026-02-01T00:00:00.000Z', to: '2026-03-01T00:00:00.000Z' });
  expect([model.report?.items.length, model.budget?.left, model.error]).toEqual([1, 1.5, null]);
});

test('a limit is set on the version that is shown; a refusal is the form’s to tell', async () => {
  const server = new MemoryServer();
  const model = await open(server);
  server.on('PUT budgets', async request => {
    expect([request.headers.get('If-Match'), await request.json()]).toEqual(['"2"', { limit: null, period: 'month' }]);
    return json({ ...BUDGET, limit: null, left: null, version: 3 });
  });
  await model.setLimit(null);
  expect([model.budget?.limit, model.budget?.version]).toEqual([null, 3]);
  server.on('PUT budgets', () => problem(422, 'Invalid input', '', [{ loc: ['body', 'limit'], msg: 'too much' }]));
  await expect(model.setLimit(1e9)).rejects.toMatchObject({ fields: new Map([['limit', 'too much']]) });
});

test('a table can be read by programs, and holds no formula', () => {
  const labels = ['=HYPERLINK("http://x")', 'with "quotes", and commas', '-1', 'plain'];
  const items = labels.map(label => ({ ...ROW, key: null, label }));
  expect(csvOf({ ...REPORT, items }).split('\r\n')).toEqual([
    'key,label,calls,tokens_input,tokens_output,cost_usd',
    ',"\'=HYPERLINK(""http://x"")",2,1000,100,0.0125',
    ',"with ""quotes"", and commas",2,1000,100,0.0125',
    ",'-1,2,1000,100,0.0125",
    ',plain,2,1000,100,0.0125',
    ''
  ]);
});

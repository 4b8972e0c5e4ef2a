import type { Task } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { Changes } from '../src/model/changes';
import { EvidenceModel, standings } from '../src/model/evidence';
import { json, MemoryServer, problem, task, TASK_ID } from './support/server';

const PATH = `GET tasks/${TASK_ID}/evidence`;

function withLost(lost: { key: string; why: string }[]): Task {
  const evidence = { run_id: 'r', commit: 'c', criteria: ['1.1'], strict: false, base_run_id: null, lost };
  return { ...task(), criteria: ['1.1', '1.2', '1.3'], evidence };
}

test('a criterion is proven, lost with its reason, or never was proven', () => {
  const found = standings(withLost([{ key: '1.2', why: 'Its text changed.' }]), new Set(['1.1', '9.9']));
  expect([...found]).toEqual([
    ['1.1', { state: 'proven', why: '' }],
    ['1.2', { state: 'lost', why: 'Its text changed.' }],
    ['1.3', { state: 'missing', why: '' }]
  ]);
});

test('evidence that somebody’s run brought shows without a reload, and an error keeps what was there', async () => {
  const read = { task_id: TASK_ID, session_id: 's', status: 'review', status_reason: '', criteria: [] };
  const server = new MemoryServer().on(PATH, () => json(read));
  const changes = new Changes();
  const model = new EvidenceModel(TASK_ID, server.client, changes);
  await model.refresh();
  expect(model.evidence?.status).toBe('review');
  changes.emit({ kind: 'task', taskId: 'another' });
  server.on(PATH, () => json({ ...read, status: 'done' }));
  changes.emit({ kind: 'task', taskId: TASK_ID });
  await expect.poll(() => model.evidence?.status).toBe('done');
  expect(server.count(PATH)).toBe(2);
  server.on(PATH, () => problem(503, 'Down', 'Wait.'));
  await model.refresh();
  expect([model.evidence?.status, model.error?.title]).toEqual(['done', 'Down']);
  model.dispose();
  changes.emit({ kind: 'all' });
  expect(server.count(PATH)).toBe(3);
});

test('a bundle is asked for by what it is about', async () => {
  const server = new MemoryServer().on('GET evidence/bundle', request => new Response(new URL(request.url).search));
  expect(await (await server.client.review.bundle({ task_id: 't' })).text()).toBe('?task_id=t');
  expect(await (await server.client.review.bundle({ session_id: 's' })).text()).toBe('?session_id=s');
});

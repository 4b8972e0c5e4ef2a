import type { Patch, PatchStatus, Run, RunStatus, TaskList } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { countDone, nextStep, runIdOf } from '../src/model/steps';
import { task } from './support/server';

const patch = (status: PatchStatus): Patch => ({ id: 'p', status, run_id: 'r' }) as Patch;
const run = (status: RunStatus): Run => ({ id: 'r', status }) as Run;

test.each([
  [null, null, 'generate'],
  [patch('pending'), null, 'review'],
  [patch('rejected'), null, 'regenerate'],
  [patch('approved'), null, 'apply'],
  [patch('approved'), run('running'), 'watch'],
  [patch('approved'), run('pending'), 'watch'],
  [patch('approved'), run('failed'), 'regenerate'],
  [patch('approved'), run('timeout'), 'regenerate'],
  [patch('approved'), run('cancelled'), 'apply'],
  [patch('applied'), run('success'), 'regenerate']
])('the next step of an open task', (newest, last, expected) => {
  expect(nextStep(task(), newest, last)).toBe(expected);
});

test('a task that is done shows the run that proves it', () => {
  const evidence = { run_id: 'proof', commit: 'abc', criteria: ['1.1'] };
  const done = task({ status: 'done', evidence });
  expect(nextStep(done, patch('pending'), null)).toBe('view-run');
  expect(runIdOf(done, patch('applied'))).toBe('proof');
  const tasks: TaskList['items'] = [done, task()];
  expect(countDone(tasks)).toBe(1);
});

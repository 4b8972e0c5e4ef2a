import type { FileComparison } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { ReviewMarks } from '../src/model/review-marks';
import { MemoryStorage } from './support/storage';

function file(now: string): FileComparison {
  return { path: 'a.py', change: 'update', old: 'x = 1\n', new: now, binary: false, additions: 1, deletions: 1 };
}

test('a viewed file is viewed until it changes', () => {
  const storage = new MemoryStorage();
  new ReviewMarks('p', storage).setViewed(file('x = 2\n'), true);
  const later = new ReviewMarks('p', storage);
  expect([later.isViewed(file('x = 2\n')), later.isViewed(file('x = 3\n'))]).toEqual([true, false]);
  expect(new ReviewMarks('q', storage).isViewed(file('x = 2\n'))).toBe(false);
  later.setViewed(file('x = 2\n'), false);
  expect([later.isViewed(file('x = 2\n')), storage.items.size]).toEqual([false, 0]);
});

test('what was typed outlives a reload, and is nobody else’s', () => {
  const storage = new MemoryStorage();
  new ReviewMarks('p', storage, () => 'eva').setEdit('a.py', { text: 'x = 4\n', digest: 'd' });
  expect(new ReviewMarks('p', storage, () => 'eva').edits.get('a.py')).toEqual({ text: 'x = 4\n', digest: 'd' });
  expect(new ReviewMarks('p', storage, () => 'rui').edits.size).toBe(0);
  storage.items.set('renum-devstudio:edits:p', '{"a.py": 7}');
  expect(new ReviewMarks('p', storage).edits.size).toBe(0);
});

test('the layout is remembered for every patch, and storage that is off loses nothing of the page', () => {
  const storage = new MemoryStorage();
  new ReviewMarks('p', storage).layout = 'unified';
  expect([new ReviewMarks('q', storage).layout, new ReviewMarks('q', new MemoryStorage()).layout]).toEqual(['unified', 'split']);
  const off = new ReviewMarks('p', {
    getItem: () => {
      throw new Error('off');
    },
    setItem: () => {
      throw new Error('full');
    },
    removeItem: () => undefined
  });
  off.setEdit('a.py', { text: 'y', digest: 'd' });
  expect(off.edits.get('a.py')?.text).toBe('y');
});

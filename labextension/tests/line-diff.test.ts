import { expect, test } from 'vitest';

import { compareLines, type ILine } from '../src/model/line-diff';

const SIGNS = { same: ' ', removed: '-', added: '+' } as const;
const written = (lines: readonly ILine[]): string[] => lines.map(({ kind, text }) => SIGNS[kind] + text);

test.each([
  ['a\nb\nc\n', 'a\nx\nc\n', [' a', '-b', '+x', ' c']],
  ['', 'a\nb', ['+a', '+b']],
  ['a\nb', '', ['-a', '-b']],
  ['a', 'a\n', [' a']],
  ['a\na\n', 'a\na\na\n', [' a', ' a', '+a']],
  ['one\ntwo\nthree\nfour', 'zero\ntwo\nfour\nfive', ['-one', '+zero', ' two', '-three', ' four', '+five']],
  ['a\n\nb', 'a\nb', [' a', '-', ' b']]
])('the fewest lines that make one text of the other', (before, after, expected) => {
  expect(written(compareLines(before, after))).toEqual(expected);
});

test('both texts can be read from a comparison, also when they are too long to search', () => {
  const texts = [3, 5, 7].map(step => Array.from({ length: 2500 }, (_, n) => String((n * step) % 11)).join('\n'));
  const [before = '', after = ''] = texts;
  const lines = compareLines(before, after);
  const side = (other: ILine['kind']): string => lines.flatMap(({ kind, text }) => (kind === other ? [] : text)).join('\n');
  expect([side('added'), side('removed')]).toEqual([before, after]);
});

import { expect, test } from 'vitest';

import { cleaned, cutAt, NO_STYLE, spansOf, styleAfter } from '../src/model/ansi';

test('colours stay, and titles, links and control characters go', () => {
  const line = '\u001b[1;31mred\u001b[0m\u001b]0;title\u0007 a\u0000b\u001b[2K\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\<b>';
  expect(cleaned(line)).toBe('\u001b[1;31mred\u001b[0m ablink<b>');
});

test('a piece is cut before what it cut off', () => {
  expect(cutAt('text\u001b[3')).toBe(4);
  expect(cutAt('text\r')).toBe(4);
  expect(cutAt('text\u001b]0;ti')).toBe(4);
  expect(cutAt('text\u001b[31m')).toBe(9);
});

test('spans look as the sequences say, and the last tells how the text goes on', () => {
  const [red, blue, rest] = spansOf('\u001b[1;31mred\u001b[22;94mblue\u001b[0m', NO_STYLE);
  expect(red).toEqual({ text: 'red', style: { ...NO_STYLE, bold: true, fg: 1 } });
  expect(blue).toEqual({ text: 'blue', style: { ...NO_STYLE, fg: 12 } });
  expect(rest).toEqual({ text: '', style: NO_STYLE });
  expect(styleAfter('\u001b[38;5;2;4mx', NO_STYLE)).toEqual({ ...NO_STYLE, fg: 2, underline: true });
  expect(styleAfter('\u001b[38;2;1;2;3;3mx', NO_STYLE)).toEqual({ ...NO_STYLE, italic: true });
});

import type { LogPage, LogStream } from '@renum/devstudio-api-client';
import { expect, test } from 'vitest';

import { firstFault, LogBuffer, plainOf, rowsWith } from '../src/model/log';

const AT = '2026-11-22T20:00:00Z';

function page(pieces: readonly [LogStream, string][], truncated = 0): LogPage {
  return {
    run_id: 'run',
    offset: 0,
    next_offset: 0,
    content: pieces.map(([, text]) => text).join(''),
    pieces: pieces.map(([stream, text]) => ({ stream, at: AT, offset: 0, length: text.length, chars: text.length })),
    truncated_bytes: truncated,
    eof: false,
    status: 'running'
  };
}

function shown(log: LogBuffer): [LogStream, string][] {
  return log.rows.map(row => [row.stream, plainOf(row)]);
}

test('lines are whole, wherever pages cut them', () => {
  const text = 'one\r\n\u001b[31mred\ngoes on\u001b[0m\n\n50%\r100%\nend';
  for (let cut = 0; cut <= text.length; cut++) {
    const log = new LogBuffer();
    log.push(page([['stdout', text.slice(0, cut)]]));
    log.push(page([['stdout', text.slice(cut)]]));
    expect(shown(log).map(([, line]) => line)).toEqual(['one', 'red', 'goes on', '', '50%', '100%', 'end']);
    expect(log.rows[2]?.style.fg).toBe(1); // the colour goes on over the end of the line
    expect(log.rows[3]?.style.fg).toBeNull();
  }
});

test('the streams keep lines of their own', () => {
  const log = new LogBuffer();
  log.push(page([['stdout', 'half'], ['stderr', 'warning\n'], ['system', 'a note\n'], ['stdout', ' and half\nnext\n']], 7));
  expect(shown(log)).toEqual([
    ['stdout', 'half and half'],
    ['stderr', 'warning'],
    ['system', 'a note'],
    ['stdout', 'next']
  ]);
  expect(log.truncatedBytes).toBe(7);
});

test('a line without an end is shown as rows, and nothing of it is lost', () => {
  const log = new LogBuffer();
  const long = 'x'.repeat(4999) + '\u001b[32m' + 'y'.repeat(3000);
  log.push(page([['stdout', long]]));
  expect(log.rows.length).toBeGreaterThan(3);
  expect(Math.max(...log.rows.map(row => row.text.length))).toBeLessThanOrEqual(2000);
  expect(log.rows.map(plainOf).join('')).toBe('x'.repeat(4999) + 'y'.repeat(3000));
  expect(log.rows.at(-1)?.style.fg).toBe(2);
});

test('of a log that is longer than what is kept, the end is kept and the rest counted', () => {
  const log = new LogBuffer();
  const block = `${'z'.repeat(99)}\n`.repeat(10_000);
  for (let at = 0; at < 25; at++) {
    log.push(page([['stdout', block]]));
  }
  log.push(page([['stdout', 'the end\n']]));
  expect(log.rows.length + log.dropped).toBe(250_001);
  expect(log.dropped).toBeGreaterThan(0);
  expect(log.rows.at(-1)?.text).toBe('the end');
});

test('rows are found by their text, whatever its case and colours', () => {
  const log = new LogBuffer();
  log.push(page([['stdout', 'Alpha\nbeta\n\u001b[1mAL\u001b[0mPHA\n']]));
  expect(rowsWith(log.rows, 'alpha')).toEqual([0, 2]);
  expect(rowsWith(log.rows, '')).toEqual([]);
  expect(log.plain).toBe('Alpha\nbeta\nALPHA');
});

test.each([
  [['collected 3 items', '0 failed, 3 passed'], null],
  [['ok 1', 'not ok 2 - adds'], 1],
  [['line', 'E   assert 1 == 2'], 1],
  [['no errors', 'ZeroDivisionError: division by zero'], 1],
  [['errors: 0', 'FAILED tests/test_a.py::test_b'], 1],
  [['terrorless'], null]
])('the first row that tells of an error: %j', (lines, expected) => {
  const log = new LogBuffer();
  log.push(page([['stdout', `${lines.join('\n')}\n`]]));
  expect(firstFault(log.rows)).toBe(expected);
});

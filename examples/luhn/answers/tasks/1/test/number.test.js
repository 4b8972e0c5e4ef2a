import assert from 'node:assert/strict';
import { test } from 'node:test';

import { InvalidNumber, readNumber } from '../src/index.js';

function assertRefused(text, reason) {
  assert.throws(
    () => readNumber(text),
    (error) => error instanceof InvalidNumber && error.reason === reason,
    `${JSON.stringify(text)} must be refused because of its ${reason}`,
  );
}

test('[1.1] digits are returned as they are', () => {
  for (const digits of ['12345674', '00000000', '4111111111111111', '1234567890123456785']) {
    assert.equal(readNumber(digits), digits);
  }
});

test('[1.2] spaces or hyphens between digits are left out', () => {
  assert.equal(readNumber('4111 1111 1111 1111'), '4111111111111111');
  assert.equal(readNumber('4111-1111-1111-1111'), '4111111111111111');
  assert.equal(readNumber('3782 822463 10005'), '378282246310005');
  assert.equal(readNumber('1 2 3 4 5 6 7 4'), '12345674');
});

test('[1.3] other uses of separators are refused', () => {
  const texts = [
    ' 4111111111111111',
    '4111111111111111 ',
    '-4111111111111111',
    '4111111111111111-',
    '4111  1111 1111 1111',
    '4111--1111-1111-1111',
    '4111 1111-1111 1111',
    '4111- 1111-1111-1111',
    '-',
    ' ',
  ];
  texts.forEach((text) => assertRefused(text, 'separator'));
});

test('[1.4] other characters are refused', () => {
  const texts = [
    '4111a11111111111',
    '4111\t1111\t1111\t1111',
    '4111111111111111\n',
    '4111.1111.1111.1111',
    '4111\u00a01111\u00a01111\u00a01111',
    '4111\u20131111\u20131111\u20131111',
    '\uff14111111111111111',
    '\u0664111111111111111',
    '+4111111111111111',
  ];
  texts.forEach((text) => assertRefused(text, 'character'));
});

test('[1.5] fewer than 8 or more than 19 digits are refused', () => {
  for (const text of ['', '1', '1234567', '1234-567', '1 2 3 4 5 6 7', '12345678901234567890', '1'.repeat(1000)]) {
    assertRefused(text, 'length');
  }
});

test('[1.5] separators do not count as digits', () => {
  assert.equal(readNumber('1234 5678 9012 3456 785'), '1234567890123456785');
});

test('[1.6] no message contains the text', () => {
  for (const text of ['4111111111111111x', '4111 1111-1111 1111', '41111111111111111111', '4111222']) {
    assert.throws(
      () => readNumber(text),
      (error) => !error.message.includes(text) && !error.message.includes('4111'),
    );
  }
});

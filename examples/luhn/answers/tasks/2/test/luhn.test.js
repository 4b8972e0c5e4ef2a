import assert from 'node:assert/strict';
import { test } from 'node:test';

import { InvalidNumber, checkDigit, validate } from '../src/index.js';

const VALID = [
  '12345674',
  '79927398713',
  '378282246310005',
  '4111111111111111',
  '5555555555554444',
  '6011111111111117',
  '1234567890123456785',
];

function refusedBecauseOf(reason) {
  return (error) => error instanceof InvalidNumber && error.reason === reason;
}

function replaced(text, index, part) {
  return text.slice(0, index) + part + text.slice(index + part.length);
}

test('[2.1] the check digit completes the sum to a multiple of ten', () => {
  assert.equal(checkDigit('7992739871'), '3');
  assert.equal(checkDigit('411111111111111'), '1');
  assert.equal(checkDigit('37828224631000'), '5');
  assert.equal(checkDigit('1234567'), '4');
  assert.equal(checkDigit('123456789012345678'), '5');
  assert.equal(checkDigit('999999999999999999'), '8');
});

test('[2.2] a sum that is a multiple of ten gives 0', () => {
  assert.equal(checkDigit('1000000009'), '0');
  assert.equal(checkDigit('0000000'), '0');
});

test('[2.3] numbers with the right check digit are accepted', () => {
  VALID.forEach((digits) => assert.equal(validate(digits), digits));
  assert.equal(validate('3782 822463 10005'), '378282246310005');
  assert.equal(validate('1000-0000-090'), '10000000090');
});

test('[2.4] every replaced digit is found', () => {
  for (const digits of VALID) {
    for (let index = 0; index < digits.length; index += 1) {
      for (const other of '0123456789'.replace(digits[index], '')) {
        assert.throws(() => validate(replaced(digits, index, other)), refusedBecauseOf('check digit'));
      }
    }
  }
});

test('[2.5] every swap of two neighbours is found, but for 0 and 9', () => {
  for (let pair = 0; pair < 100; pair += 1) {
    const [first, second] = String(pair).padStart(2, '0');
    if (first === second) continue;
    for (const start of ['411', '4111']) {
      const payload = `${start}${first}${second}1111`;
      const swapped = replaced(payload + checkDigit(payload), start.length, second + first);
      if ([first, second].sort().join('') === '09') {
        assert.equal(validate(swapped), swapped);
      } else {
        assert.throws(() => validate(swapped), refusedBecauseOf('check digit'));
      }
    }
  }
});

test('[2.5] a swap with the check digit is found', () => {
  assert.throws(() => validate('79927398731'), refusedBecauseOf('check digit'));
  assert.throws(() => validate('12345647'), refusedBecauseOf('check digit'));
});

test('[2.6] other payloads are refused', () => {
  for (const payload of ['12345a7', '1234 567', '-1234567', '123456\uff17', '1234567\n']) {
    assert.throws(() => checkDigit(payload), refusedBecauseOf('character'));
  }
  for (const payload of ['', '123456', '1234567890123456789']) {
    assert.throws(() => checkDigit(payload), refusedBecauseOf('length'));
  }
});

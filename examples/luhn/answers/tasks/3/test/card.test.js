import assert from 'node:assert/strict';
import { test } from 'node:test';

import { InvalidNumber, describeCard } from '../src/index.js';

function refusedBecauseOf(reason) {
  return (error) => error instanceof InvalidNumber && error.reason === reason;
}

test('[3.1] the first digit names the major industry', () => {
  const names = {
    '0123456782': 'ISO/TC 68 and other industries',
    '1234567897': 'airlines',
    '2223003122003222': 'airlines, financial and other industries',
    '378282246310005': 'travel and entertainment',
    '4111111111111111': 'banking and financial',
    '5555555555554444': 'banking and financial',
    '6011111111111117': 'merchandising and banking',
    '7000000005': 'petroleum and other industries',
    '81076123454': 'healthcare, telecommunications and other industries',
    '9076123455': 'national standards bodies',
  };
  for (const [number, name] of Object.entries(names)) {
    assert.deepEqual(describeCard(number).majorIndustry, { digit: number[0], name });
  }
});

test('[3.2] issuer, account and check digit are told apart', () => {
  const { number, issuer, account, checkDigit } = describeCard('4111 1111 1111 1111');
  assert.deepEqual([number, issuer, account, checkDigit], ['4111111111111111', '41111111', '1111111', '1']);
  const longest = describeCard('1234567890123456785');
  assert.deepEqual([longest.issuer, longest.account, longest.checkDigit], ['12345678', '9012345678', '5']);
});

test('[3.3] an issuer identification number may have six digits', () => {
  const { issuer, account, checkDigit } = describeCard('378282246310005', { issuerDigits: 6 });
  assert.deepEqual([issuer, account, checkDigit], ['378282', '24631000', '5']);
});

test('[3.4] numbers that start with 9 or 80 have a country', () => {
  assert.equal(describeCard('9076123455').country, '076');
  assert.equal(describeCard('800761234569').country, '076');
  assert.equal(describeCard('98401234566').country, '840');
});

test('[3.4] other numbers have none', () => {
  for (const number of ['4111111111111111', '81076123454', '89000000003', '0123456782', '17893729974']) {
    assert.equal(describeCard(number).country, null);
  }
});

test('[3.5] the account needs at least one digit', () => {
  assert.equal(describeCard('1234567897').account, '9');
  assert.equal(describeCard('12345674', { issuerDigits: 6 }).account, '7');
  assert.throws(() => describeCard('123456782'), refusedBecauseOf('length'));
  assert.throws(() => describeCard('12345674'), refusedBecauseOf('length'));
});

test('[3.6] what is no valid number is not described', () => {
  assert.throws(() => describeCard('4111111111111112'), refusedBecauseOf('check digit'));
  assert.throws(() => describeCard('4111x'), refusedBecauseOf('character'));
  assert.throws(() => describeCard('4111 1111  1111 1111'), refusedBecauseOf('separator'));
  assert.throws(() => describeCard('1234567'), refusedBecauseOf('length'));
});

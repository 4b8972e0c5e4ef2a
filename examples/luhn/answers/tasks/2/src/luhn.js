import { InvalidNumber } from './errors.js';
import { readNumber } from './number.js';

const MIN_PAYLOAD = 7;
const MAX_PAYLOAD = 18;

/**
 * Return the check digit of a payload (the Luhn formula, ISO/IEC 7812-1).
 *
 * @param {string} payload the 7 to 18 digits of a number before its check digit
 * @returns {string} one digit
 * @throws {InvalidNumber}
 */
export function checkDigit(payload) {
  if (!/^[0-9]*$/.test(payload)) {
    throw new InvalidNumber('character', 'a payload has digits only');
  }
  if (payload.length < MIN_PAYLOAD || payload.length > MAX_PAYLOAD) {
    throw new InvalidNumber('length', `a payload has ${MIN_PAYLOAD} to ${MAX_PAYLOAD} digits`);
  }
  const sum = [...payload].reverse().reduce((total, digit, index) => total + weigh(Number(digit), index), 0);
  return String((10 - (sum % 10)) % 10);
}

/**
 * Return the digits of a card number whose check digit is right.
 *
 * @param {string} text the number as a person writes it
 * @returns {string}
 * @throws {InvalidNumber}
 */
export function validate(text) {
  const digits = readNumber(text);
  if (checkDigit(digits.slice(0, -1)) !== digits.at(-1)) {
    throw new InvalidNumber('check digit', 'the check digit does not fit the other digits');
  }
  return digits;
}

/** Double every second digit from the right, the rightmost included; 9 less is the sum of a product's two digits. */
function weigh(digit, index) {
  const product = index % 2 === 0 ? digit * 2 : digit;
  return product > 9 ? product - 9 : product;
}

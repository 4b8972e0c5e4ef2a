import { InvalidNumber } from './errors.js';

const MIN_DIGITS = 8;
const MAX_DIGITS = 19;

const ALLOWED = /^[0-9 -]*$/;
const GROUPED = /^[0-9]+(?:(?: [0-9]+)*|(?:-[0-9]+)*)$/;

/**
 * Return the digits of a card number as a person writes it.
 *
 * @param {string} text digits, in groups with single spaces or single hyphens between them, or in one piece
 * @returns {string} 8 to 19 digits (the length of ISO/IEC 7812-1)
 * @throws {InvalidNumber}
 */
export function readNumber(text) {
  if (!ALLOWED.test(text)) {
    throw new InvalidNumber('character', 'a card number has digits, spaces and hyphens only');
  }
  if (text !== '' && !GROUPED.test(text)) {
    throw new InvalidNumber('separator', 'groups of digits have one space, or one hyphen, between them');
  }
  const digits = text.replace(/[ -]/g, '');
  if (digits.length < MIN_DIGITS || digits.length > MAX_DIGITS) {
    throw new InvalidNumber('length', `a card number has ${MIN_DIGITS} to ${MAX_DIGITS} digits`);
  }
  return digits;
}

import { InvalidNumber } from './errors.js';
import { validate } from './luhn.js';

/** Major industry identifiers, by digit (ISO/IEC 7812-1). */
const MAJOR_INDUSTRIES = [
  'ISO/TC 68 and other industries',
  'airlines',
  'airlines, financial and other industries',
  'travel and entertainment',
  'banking and financial',
  'banking and financial',
  'merchandising and banking',
  'petroleum and other industries',
  'healthcare, telecommunications and other industries',
  'national standards bodies',
];

/**
 * Take a valid card number apart.
 *
 * @param {string} text the number as a person writes it
 * @param {{ issuerDigits?: 6 | 8 }} [options] the length of the issuer identification number: 8 since the 2017 edition
 * @throws {InvalidNumber}
 */
export function describeCard(text, { issuerDigits = 8 } = {}) {
  const number = validate(text);
  const account = number.slice(issuerDigits, -1);
  if (account === '') {
    const shortest = issuerDigits + 2;
    throw new InvalidNumber('length', `with ${issuerDigits} issuer digits a number has at least ${shortest} digits`);
  }
  return {
    number,
    majorIndustry: { digit: number[0], name: MAJOR_INDUSTRIES[Number(number[0])] },
    issuer: number.slice(0, issuerDigits),
    country: /^(?:9|80)([0-9]{3})/.exec(number)?.[1] ?? null,
    account,
    checkDigit: number.at(-1),
  };
}

export { describeCard } from './card.js';
export { InvalidNumber } from './errors.js';
export { checkDigit, validate } from './luhn.js';
export { readNumber } from './number.js';

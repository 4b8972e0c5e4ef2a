export { InvalidNumber } from './errors.js';
export { readNumber } from './number.js';

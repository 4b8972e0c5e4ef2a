/** A text that is no card number. Messages never contain the text: it may be a real card's number. */
export class InvalidNumber extends Error {
  /**
   * @param {'character' | 'separator' | 'length' | 'check digit'} reason
   * @param {string} message what the rule is
   */
  constructor(reason, message) {
    super(message);
    this.name = 'InvalidNumber';
    this.reason = reason;
  }
}

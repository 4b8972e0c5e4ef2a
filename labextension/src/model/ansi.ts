// CSI sequences, OSC sequences (ended by BEL or ST), and the two-character escapes.
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const CUT_ESCAPE = /\u001b(?:\[[0-?]*[ -/]*|\][^\u0007\u001b]*\u001b?)?$/;
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** Takes terminal output piece by piece and gives plain text; a sequence that a piece cuts is held for the next. */
export class PlainText {
  push(piece: string): string {
    const text = this.held + piece;
    const cut = CUT_ESCAPE.exec(text)?.index ?? (text.endsWith('\r') ? text.length - 1 : text.length);
    this.held = text.slice(cut);
    return text
      .slice(0, cut)
      .replace(ESCAPES, '')
      .replace(/\r\n?/g, '\n')
      .replace(CONTROLS, '');
  }

  private held = '';
}

/* eslint-disable no-control-regex -- control characters are what these look for */
// CSI sequences, OSC sequences (ended by BEL or ST), and the two-character escapes.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
const CUT_ESCAPE = /\u001b(?:\[[0-?]*[ -/]*|\][^\u0007\u001b]*\u001b?)?$/;
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f]/g;
const ANY = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;
const COLOUR = /^\u001b\[[0-9;:]*m$/;
const COLOURS = /\u001b\[([0-9;:]*)m/g;
/* eslint-enable no-control-regex */

/** How terminal text looks: the numbers of foreground and background among the sixteen colours, and its weight. */
export interface IStyle {
  readonly fg: number | null;
  readonly bg: number | null;
  readonly bold: boolean;
  readonly faint: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
}

/** A part of a line that looks the same throughout. */
export interface ISpan {
  readonly text: string;
  readonly style: IStyle;
}

export const NO_STYLE: IStyle = { fg: null, bg: null, bold: false, faint: false, italic: false, underline: false };

/** Where a piece of output has to be cut, so that nothing that belongs together is taken apart. */
export function cutAt(text: string): number {
  return CUT_ESCAPE.exec(text)?.index ?? (text.endsWith('\r') ? text.length - 1 : text.length);
}

/** A line with the escape sequences of colours, and without all others and other control characters. */
export function cleaned(line: string): string {
  if (!ANY.test(line)) {
    return line;
  }
  return line
    .replace(ESCAPES, found => (COLOUR.test(found) ? found : ''))
    .replace(CONTROLS, '')
    .replace(/\u001b(?!\[[0-9;:]*m)/g, ''); // eslint-disable-line no-control-regex -- an escape that begins nothing
}

/** How text goes on to look after `text`, which began as `style`. */
export function styleAfter(text: string, style: IStyle): IStyle {
  return text.includes('\u001b') ? (spansOf(text, style).at(-1)?.style ?? style) : style;
}

/** Take cleaned text apart at its colours. The last span may be empty; it tells how the text goes on. */
export function spansOf(text: string, start: IStyle): ISpan[] {
  const spans: ISpan[] = [];
  let style = start;
  let from = 0;
  for (const found of text.matchAll(COLOURS)) {
    if (found.index > from) {
      spans.push({ text: text.slice(from, found.index), style });
    }
    style = applied(found[1] ?? '', style);
    from = found.index + found[0].length;
  }
  spans.push({ text: text.slice(from), style });
  return spans;
}

/** Apply the numbers of one sequence (ECMA-48, Select Graphic Rendition). */
function applied(numbers: string, before: IStyle): IStyle {
  const codes = numbers.split(/[;:]/).map(Number);
  let style = before;
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    if (code === 38 || code === 48) {
      const indexed = codes[at + 1] === 5;
      const colour = indexed && (codes[at + 2] ?? 16) < 16 ? (codes[at + 2] ?? null) : null; // others have no colour of a theme
      style = code === 38 ? { ...style, fg: colour } : { ...style, bg: colour };
      at += indexed ? 2 : 4;
    } else {
      style = after(code, style);
    }
  }
  return style;
}

function after(code: number, style: IStyle): IStyle {
  const simple: Record<number, Partial<IStyle>> = {
    0: NO_STYLE,
    1: { bold: true },
    2: { faint: true },
    3: { italic: true },
    4: { underline: true },
    22: { bold: false, faint: false },
    23: { italic: false },
    24: { underline: false },
    39: { fg: null },
    49: { bg: null }
  };
  const ranges: [number, (n: number) => Partial<IStyle>][] = [
    [30, n => ({ fg: n })],
    [40, n => ({ bg: n })],
    [90, n => ({ fg: n + 8 })],
    [100, n => ({ bg: n + 8 })]
  ];
  const range = ranges.find(([first]) => code >= first && code < first + 8);
  return { ...style, ...(range === undefined ? simple[code] : range[1](code - range[0])) };
}

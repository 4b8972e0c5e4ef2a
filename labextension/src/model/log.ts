import type { LogPage, LogStream } from '@renum/devstudio-api-client';

import { cleaned, cutAt, NO_STYLE, styleAfter, type IStyle } from './ansi';

/** Characters kept on the page: the longest log that a server keeps by default; the whole log stays there. */
const MAX_CHARS = 20_000_000;
/** Rows kept on the page. Browsers cannot show boxes that are much higher than this many rows. */
const MAX_ROWS = 800_000;
/** A longer line is shown as several rows. */
const MAX_ROW = 2000;

/** A row of the log, as it is shown. */
export interface ILogRow {
  /** With the escape sequences of colours, and no others. */
  text: string;
  readonly stream: LogStream;
  /** When it came. */
  readonly at: string;
  /** How the text looks at its start; colours go on over the ends of lines. */
  readonly style: IStyle;
}

/** A stream's end, as far as it has come. */
interface ITail {
  row: ILogRow | null;
  /** What a piece cut off: an escape sequence, or a carriage return whose line feed may come. */
  held: string;
  style: IStyle;
}

/** The rows of a log, as pages of it come in. Standard output and error keep lines of their own. */
export class LogBuffer {
  rows: ILogRow[] = [];
  /** Rows from the start that are not kept here. */
  dropped = 0;
  /** Bytes that the run wrote beyond what the server keeps. */
  truncatedBytes = 0;

  push(page: LogPage): void {
    this.truncatedBytes = page.truncated_bytes;
    let at = 0;
    for (const piece of page.pieces) {
      this.feed(piece.stream, piece.at, page.content.slice(at, at + piece.chars));
      at += piece.chars;
    }
    this.trim();
  }

  /** Everything that is kept, without colours. */
  get plain(): string {
    return this.rows.map(plainOf).join('\n');
  }

  private feed(stream: LogStream, at: string, text: string): void {
    const tail = this.tails[stream];
    const whole = tail.held + text;
    const cut = cutAt(whole);
    tail.held = whole.slice(cut);
    const lines = whole.slice(0, cut).split(/\r\n?|\n/);
    lines.forEach((line, number) => {
      if (number > 0) {
        tail.row = null;
      }
      if (line !== '' || number < lines.length - 1) {
        this.write(tail, stream, at, cleaned(line));
      }
    });
  }

  /** Write a part of a line, behind what the stream's open line has. */
  private write(tail: ITail, stream: LogStream, at: string, text: string): void {
    this.chars += text.length;
    let rest = text;
    do {
      if (tail.row === null || tail.row.text.length >= MAX_ROW) {
        tail.row = { text: '', stream, at, style: tail.style };
        this.rows.push(tail.row);
      }
      const taken = takenFrom(rest, MAX_ROW - tail.row.text.length);
      tail.row.text += taken;
      tail.style = styleAfter(taken, tail.style);
      rest = rest.slice(taken.length);
    } while (rest !== '');
  }

  private trim(): void {
    let gone = 0;
    while (gone < this.rows.length - 1 && (this.chars > MAX_CHARS || this.rows.length - gone > MAX_ROWS)) {
      this.chars -= this.rows[gone]?.text.length ?? 0;
      gone += 1;
    }
    if (gone > 0) {
      this.rows = this.rows.slice(gone);
      this.dropped += gone;
    }
  }

  private chars = 0;
  private readonly tails: Record<LogStream, ITail> = {
    stdout: { row: null, held: '', style: NO_STYLE },
    stderr: { row: null, held: '', style: NO_STYLE },
    system: { row: null, held: '', style: NO_STYLE }
  };
}

/** As much of a text as fits, without cutting a colour's sequence; at least one character. */
function takenFrom(text: string, room: number): string {
  if (text.length <= room) {
    return text;
  }
  const escape = text.lastIndexOf('\u001b', room);
  const end = escape > 0 && text.indexOf('m', escape) >= room ? escape : Math.max(room, 1);
  return text.slice(0, end);
}

/** A row's text without colours. */
export function plainOf(row: ILogRow): string {
  // eslint-disable-next-line no-control-regex -- the escape character is what it looks for
  return row.text.includes('\u001b') ? row.text.replace(/\u001b\[[0-9;:]*m/g, '') : row.text;
}

/** The numbers of the rows that have a text, whatever its case. */
export function rowsWith(rows: readonly ILogRow[], query: string): number[] {
  const wanted = query.toLowerCase();
  const found: number[] = [];
  if (wanted !== '') {
    rows.forEach((row, at) => {
      if (plainOf(row).toLowerCase().includes(wanted)) {
        found.push(at);
      }
    });
  }
  return found;
}

const FAULT = /\b(?:error|errors|exception|traceback|fatal|panic|failed|failure|failures)\b|\w(?:Error|Exception)\b|^not ok\b|^E\s|✖|✗/i;
const HARMLESS = /\b(?:0|no) (?:errors?|failures?|failed)\b|\b(?:errors?|failures?|failed)[ :=]+0\b/i;

/** The number of the first row that tells of an error; null when none does. */
export function firstFault(rows: readonly ILogRow[]): number | null {
  const at = rows.findIndex(row => {
    const text = plainOf(row);
    return FAULT.test(text) && !HARMLESS.test(text);
  });
  return at < 0 ? null : at;
}

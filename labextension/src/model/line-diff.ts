/** A line of a comparison: in both texts, only in the old one, or only in the new one. */
export interface ILine {
  kind: 'same' | 'removed' | 'added';
  text: string;
}

/** Above so many pairs of lines the middle is shown as replaced in whole rather than searched for what is common. */
const MOST_PAIRS = 4_000_000;

/** Compare two texts line by line: the fewest lines removed and added, removed ones first. */
export function compareLines(before: string, after: string): ILine[] {
  const old = linesOf(before);
  const now = linesOf(after);
  const shorter = Math.min(old.length, now.length);
  let head = 0;
  while (head < shorter && old[head] === now[head]) {
    head += 1;
  }
  let tail = 0;
  while (tail < shorter - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) {
    tail += 1;
  }
  return [
    ...as('same', old.slice(0, head)),
    ...middle(old.slice(head, old.length - tail), now.slice(head, now.length - tail)),
    ...as('same', old.slice(old.length - tail))
  ];
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

function as(kind: ILine['kind'], lines: readonly string[]): ILine[] {
  return lines.map(text => ({ kind, text }));
}

/** Walk through the table of longest common tails of `old` and `now`. */
function middle(old: readonly string[], now: readonly string[]): ILine[] {
  if (old.length * now.length > MOST_PAIRS) {
    return [...as('removed', old), ...as('added', now)];
  }
  const width = now.length + 1;
  const common = new Uint32Array((old.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      common[i * width + j] = old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: ILine[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    const [left, right] = [old[i], now[j]];
    if (left !== undefined && left === right) {
      lines.push({ kind: 'same', text: left });
      i += 1;
      j += 1;
    } else if (left !== undefined && (right === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: 'removed', text: left });
      i += 1;
    } else if (right !== undefined) {
      lines.push({ kind: 'added', text: right });
      j += 1;
    }
  }
  return lines;
}

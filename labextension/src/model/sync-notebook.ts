/** A cell of a notebook, as far as it is merged. */
export interface ISyncCell {
  readonly id: string;
  readonly source: string;
  /** What else of it can be edited and is kept with its document. */
  readonly flags: string;
}

/** A cell of the merged notebook, and which side has it as it shall be. */
export interface IMergedCell {
  readonly id: string;
  readonly from: 'here' | 'file';
}

type Cells = ReadonlyMap<string, ISyncCell>;

/**
 * Merge what was typed here into what is in the file; both started from `base`. Where both changed the same cell, or its
 * place, the answer is null: then nothing is taken over, and the server merges when the notebook is saved.
 */
export function mergeCells(
  base: readonly ISyncCell[],
  here: readonly ISyncCell[],
  file: readonly ISyncCell[]
): IMergedCell[] | null {
  const [was, mine, theirs] = [byId(base), byId(here), byId(file)];
  const chosen = new Map<string, IMergedCell>();
  for (const id of new Set([...was.keys(), ...mine.keys(), ...theirs.keys()])) {
    const [old, left, right] = [was.get(id), mine.get(id), theirs.get(id)];
    if (same(left, right) || same(right, old)) {
      if (left !== undefined) {
        chosen.set(id, { id, from: 'here' });
      }
    } else if (same(left, old)) {
      if (right !== undefined) {
        chosen.set(id, { id, from: 'file' });
      }
    } else {
      return null;
    }
  }
  const order = ordered(base, here, file);
  return order === null ? null : arranged(order, chosen, mine, theirs);
}

/**
 * Which cells of the file are cells of this notebook under another id: the server gives a new cell the id of its block,
 * and the cell that somebody may be typing in keeps its own. `known` are those that were found before.
 */
export function sameCells(
  here: readonly ISyncCell[],
  file: readonly ISyncCell[],
  known: ReadonlyMap<string, string>
): Map<string, string> {
  const [mine, theirs] = [byId(here), byId(file)];
  const found = new Map([...known].filter(([there, id]) => theirs.has(there) && mine.has(id) && !mine.has(there)));
  const taken = new Set(found.values());
  for (const cell of file.filter(({ id }) => !mine.has(id) && !found.has(id))) {
    const text = bare(cell.source);
    const own = here.find(({ id, source }) => !theirs.has(id) && !taken.has(id) && bare(source) === text);
    if (own !== undefined && text !== '') {
      found.set(cell.id, own.id);
      taken.add(own.id);
    }
  }
  return found;
}

/**
 * Whether the file has a text of this notebook's cell in new cells: the server takes apart a cell with several blocks.
 * Whoever is typing in it would find the cursor in another place than the text.
 */
export function isTakenApart(id: string, here: readonly ISyncCell[], file: readonly ISyncCell[]): boolean {
  const mine = byId(here);
  const text = words(mine.get(id)?.source ?? '');
  return file.some(cell => !mine.has(cell.id) && words(cell.source) !== '' && text.includes(words(cell.source)));
}

/** A text as its words: the server may set other blanks and lines between them. */
function words(text: string): string {
  return bare(text).replace(/\s+/g, ' ');
}

/** A text without the comments in which the server keeps the ids of blocks. */
function bare(text: string): string {
  return text.replace(/[ \t]*<!-- id:[^>]*-->/g, '').trim();
}

/** Whether anything was typed here since `base`. */
export function isEdited(base: readonly ISyncCell[], here: readonly ISyncCell[]): boolean {
  return base.length !== here.length || base.some((cell, at) => here[at]?.id !== cell.id || !same(cell, here[at]));
}

/** The smallest part of `before` to replace so that it becomes `after`: whoever types elsewhere in it keeps their place. */
export function smallestChange(before: string, after: string): { start: number; end: number; text: string } {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) {
    head += 1;
  }
  let tail = 0;
  while (tail < shorter - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) {
    tail += 1;
  }
  return { start: head, end: before.length - tail, text: after.slice(head, after.length - tail) };
}

/** Which side says the order of the cells, and which one's new cells come between them; null when both moved some. */
function ordered(
  base: readonly ISyncCell[],
  here: readonly ISyncCell[],
  file: readonly ISyncCell[]
): [readonly ISyncCell[], readonly ISyncCell[]] | null {
  if (!moved(base, here)) {
    return [file, here];
  }
  return !moved(base, file) || !moved(here, file) ? [here, file] : null;
}

function arranged(
  [first, second]: [readonly ISyncCell[], readonly ISyncCell[]],
  chosen: ReadonlyMap<string, IMergedCell>,
  mine: Cells,
  theirs: Cells
): IMergedCell[] {
  const kept = (cell: ISyncCell): boolean => chosen.has(cell.id) && (mine.has(cell.id) || theirs.has(cell.id));
  const ids = first.filter(kept).map(({ id }) => id);
  let behind = -1;
  for (const { id } of second.filter(kept)) {
    const at = ids.indexOf(id);
    if (at === -1) {
      behind += 1;
      ids.splice(behind, 0, id);
    } else {
      behind = at;
    }
  }
  return ids.flatMap(id => chosen.get(id) ?? []);
}

/** Whether cells that both lists have come in another order in `now`. */
function moved(before: readonly ISyncCell[], now: readonly ISyncCell[]): boolean {
  const [old, present] = [byId(before), byId(now)];
  const left = before.filter(({ id }) => present.has(id));
  const right = now.filter(({ id }) => old.has(id));
  return left.some(({ id }, at) => right[at]?.id !== id);
}

function byId(cells: readonly ISyncCell[]): Cells {
  return new Map(cells.map(cell => [cell.id, cell]));
}

function same(left: ISyncCell | undefined, right: ISyncCell | undefined): boolean {
  return left?.source === right?.source && left?.flags === right?.flags && (left === undefined) === (right === undefined);
}

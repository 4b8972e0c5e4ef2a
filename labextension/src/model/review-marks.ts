import type { FileComparison } from '@renum/devstudio-api-client';

import type { DraftStorage } from './drafts';

/** Both sides beside each other, or the old lines above the new ones. */
export type DiffLayout = 'split' | 'unified';

const LAYOUT = 'renum-devstudio:diff-layout';

/** The text of a file that somebody changes in a review and has not saved. */
export interface IEdit {
  text: string;
  /** The digest of the patch that the person changed; a save of another one would undo what somebody else did. */
  digest: string;
}

/**
 * What a reviewer leaves in the browser: how they like to read, which files they have seen, and what they typed. It
 * outlives a reload and a crash of the page. In a browser that several people use, each has their own.
 */
export class ReviewMarks {
  constructor(
    private readonly patchId: string,
    private readonly storage: DraftStorage,
    private readonly owner: () => string = () => ''
  ) {}

  get layout(): DiffLayout {
    return this.read(LAYOUT) === 'unified' ? 'unified' : 'split';
  }

  set layout(layout: DiffLayout) {
    this.write(LAYOUT, layout);
  }

  /** Whether the person has marked this file as seen, and it is still what they saw. */
  isViewed(file: FileComparison): boolean {
    return this.table('viewed')[file.path] === printOf(file);
  }

  setViewed(file: FileComparison, viewed: boolean): void {
    this.put('viewed', file.path, viewed ? printOf(file) : null);
  }

  /** What was typed and is not saved, by path. */
  get edits(): ReadonlyMap<string, IEdit> {
    return new Map(Object.entries(this.table('edits')).filter((entry): entry is [string, IEdit] => isEdit(entry[1])));
  }

  setEdit(path: string, edit: IEdit | null): void {
    this.put('edits', path, edit);
  }

  private put(name: string, path: string, value: unknown): void {
    const table = this.table(name);
    if (value === null) {
      Reflect.deleteProperty(table, path);
    } else {
      table[path] = value;
    }
    this.write(this.key(name), Object.keys(table).length === 0 ? null : table);
  }

  private table(name: string): Record<string, unknown> {
    const data = this.read(this.key(name));
    return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {};
  }

  private read(key: string): unknown {
    if (!this.known.has(key)) {
      try {
        this.known.set(key, JSON.parse(this.storage.getItem(key) ?? 'null'));
      } catch {
        this.known.set(key, null);
      }
    }
    return this.known.get(key);
  }

  private write(key: string, value: unknown): void {
    this.known.set(key, value);
    try {
      if (value === null) {
        this.storage.removeItem(key);
      } else {
        this.storage.setItem(key, JSON.stringify(value));
      }
    } catch {
      // Storage that is full or off: it stays in memory and on the screen.
    }
  }

  private key(name: string): string {
    const owner = this.owner();
    return `renum-devstudio:${name}:${owner === '' ? '' : `${owner}:`}${this.patchId}`;
  }

  private readonly known = new Map<string, unknown>();
}

/** Tells whether a file is what it was; two hashes, so that no two texts of a review are taken for one. */
function printOf(file: FileComparison): string {
  const text = [file.change, file.old ?? '', file.new ?? '', file.additions, file.deletions].join('\u0000');
  return `${fnv(text, 0x811c9dc5)}${fnv(text, 0x01000193)}`;
}

/** FNV-1a over the code units. */
function fnv(text: string, start: number): string {
  let hash = start;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
  return hash.toString(16).padStart(8, '0');
}

function isEdit(value: unknown): value is IEdit {
  return (
    typeof value === 'object' &&
    value !== null &&
    'text' in value &&
    typeof value.text === 'string' &&
    'digest' in value &&
    typeof value.digest === 'string'
  );
}

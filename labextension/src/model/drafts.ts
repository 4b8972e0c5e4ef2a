import type { DocumentType } from '@renum/devstudio-api-client';

/** A text that was typed and is not saved yet, with what it started from. */
export interface IDraft {
  text: string;
  /** The document as it was when typing began. */
  base: string;
  /** The session's version that held `base`; a save names it. */
  version: number;
}

/** Where drafts live; the browser's localStorage is one. */
export type DraftStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/**
 * The unsaved texts of one session. They outlive a reload and a crash of the page. In a browser that several people use,
 * each sees their own: `owner` tells whose they are.
 */
export class Drafts {
  constructor(
    private readonly sessionId: string,
    private readonly storage: DraftStorage,
    private readonly owner: () => string = () => ''
  ) {}

  get(kind: DocumentType): IDraft | null {
    const known = this.cache.get(kind);
    if (known !== undefined) {
      return known;
    }
    const read = this.read(kind);
    this.cache.set(kind, read);
    return read;
  }

  set(kind: DocumentType, draft: IDraft): void {
    this.cache.set(kind, draft);
    try {
      this.storage.setItem(this.key(kind), JSON.stringify(draft));
    } catch {
      // Storage that is full or off: the text stays in memory and on the screen.
    }
  }

  drop(kind: DocumentType): void {
    this.cache.set(kind, null);
    this.storage.removeItem(this.key(kind));
  }

  private read(kind: DocumentType): IDraft | null {
    try {
      const data: unknown = JSON.parse(this.storage.getItem(this.key(kind)) ?? 'null');
      return isDraft(data) ? data : null;
    } catch {
      return null;
    }
  }

  private key(kind: DocumentType): string {
    const owner = this.owner();
    return `renum-devstudio:draft:${owner === '' ? '' : `${owner}:`}${this.sessionId}:${kind}`;
  }

  private readonly cache = new Map<DocumentType, IDraft | null>();
}

function isDraft(data: unknown): data is IDraft {
  return (
    typeof data === 'object' &&
    data !== null &&
    'text' in data &&
    typeof data.text === 'string' &&
    'base' in data &&
    typeof data.base === 'string' &&
    'version' in data &&
    typeof data.version === 'number'
  );
}

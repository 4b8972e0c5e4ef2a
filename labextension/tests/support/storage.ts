import type { DraftStorage } from '../../src/model/drafts';

/** A browser's storage in memory. */
export class MemoryStorage implements DraftStorage {
  readonly items = new Map<string, string>();

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }
}

import type { FileComparison } from '@renum/devstudio-api-client';

import type { IEdit, ReviewMarks } from './review-marks';

/** How the lines of a text end; null when they end in several ways, which an editor would make one. */
export function lineEndOf(text: string): '\n' | '\r\n' | null {
  const withCr = text.split('\r\n').length - 1;
  if (withCr === 0) {
    return text.includes('\r') ? null : '\n';
  }
  const rest = text.replaceAll('\r\n', '');
  return rest.includes('\r') || rest.includes('\n') ? null : '\r\n';
}

/** What a person types into the files of a patch and has not saved as a revision. */
export class PatchEdits {
  constructor(private readonly marks: ReviewMarks) {}

  get all(): ReadonlyMap<string, IEdit> {
    return this.marks.edits;
  }

  get isEmpty(): boolean {
    return this.all.size === 0;
  }

  /** Whether the file shows what was typed, or waits to be typed into. */
  isOpen(path: string): boolean {
    return this.opened.has(path) || this.all.has(path);
  }

  open(path: string): void {
    this.opened.add(path);
  }

  /** The new side of a file as it is shown. */
  textOf(file: FileComparison): string {
    return this.all.get(file.path)?.text ?? file.new ?? '';
  }

  /** Keep what was typed; what is as it was is no edit. */
  type(file: FileComparison, text: string, digest: string): void {
    const before = this.all.get(file.path);
    this.marks.setEdit(file.path, text === (file.new ?? '') ? null : { text, digest: before?.digest ?? digest });
  }

  /** The paths whose edits began with other bytes than the patch has now: somebody else changed it meanwhile. */
  stale(digest: string): string[] {
    return [...this.all].filter(([, edit]) => edit.digest !== digest).map(([path]) => path);
  }

  /** Go on with what was typed, on the bytes that the patch has now. */
  keep(digest: string): void {
    for (const [path, { text }] of this.all) {
      this.marks.setEdit(path, { text, digest });
    }
  }

  /** Forget what was typed into one file, or into all. */
  discard(path?: string): void {
    for (const each of path === undefined ? [...this.all.keys(), ...this.opened] : [path]) {
      this.marks.setEdit(each, null);
      this.opened.delete(each);
    }
  }

  /** The texts to send. */
  get texts(): Record<string, string> {
    return Object.fromEntries([...this.all].map(([path, { text }]) => [path, text]));
  }

  private readonly opened = new Set<string>();
}

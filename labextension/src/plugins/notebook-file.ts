import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookModel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import type { PartialJSONValue } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { Latest } from '../model/latest';
import {
  isEdited,
  isTakenApart,
  mergeCells,
  sameCells,
  smallestChange,
  type IMergedCell,
  type ISyncCell
} from '../model/sync-notebook';

type Context = DocumentRegistry.IContext<INotebookModel>;
type SharedNotebook = INotebookModel['sharedModel'];
type NewCell = Parameters<SharedNotebook['insertCell']>[1];

/** A session's notebook as the server writes it. */
interface IFile {
  readonly cells: readonly IFileCell[];
  readonly metadata: { readonly devstudio?: PartialJSONValue };
}

interface IFileCell {
  readonly id: string;
  readonly source: string | string[];
  readonly metadata: { readonly devstudio?: PartialJSONValue };
}

/**
 * Keeps an open notebook together with its file, which the server writes whenever the session changes.
 *
 * What changed in the file is taken over cell by cell, at once and in one go, so that nothing typed meanwhile is lost.
 * Where both sides changed a cell, the notebook stays as it is and says it is still of its old version: then the server
 * merges when it is saved, and whoever reads the session sees both texts. A cell that somebody types in is not taken apart
 * before they leave it.
 */
export class NotebookFile implements IDisposable {
  constructor(
    private readonly context: Context,
    private readonly contents: Contents.IManager,
    /** The id of the cell that somebody types in; null when nobody does. */
    private readonly editing: () => string | null,
    private readonly onKept: () => void
  ) {
    this.base = this.cells();
    saveWithoutAsking(context);
    context.saveState.connect((_, state) => {
      this.onSave(state);
    }, this);
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  dispose(): void {
    this.disposed = true;
    Signal.disconnectReceiver(this);
  }

  /** Take over what changed in the file since it was read last; `always` reads it even where it looks the same. */
  refresh(always = false): Promise<void> {
    this.always ||= always;
    return this.latest.run();
  }

  /** Take over what waited for somebody to leave their cell, once they have. */
  resume(): void {
    if (this.waitsFor !== null && this.waitsFor !== this.editing()) {
      this.waitsFor = null;
      void this.refresh(true).catch(() => undefined);
    }
  }

  private async read(): Promise<void> {
    const { context, always } = this;
    this.always = false;
    const onDisk = await this.contents.get(context.path, { content: false });
    const seen = context.contentsModel?.last_modified;
    if (context.isDisposed || this.saving || (!always && onDisk.last_modified === seen)) {
      return;
    }
    const { model } = context;
    // JupyterLab reads the file and hands it to the model, which this once merges it in instead of being replaced by it.
    Object.defineProperty(model, 'fromJSON', {
      configurable: true,
      value: (file: IFile) => {
        this.take(file);
      }
    });
    try {
      await context.revert();
    } finally {
      Reflect.deleteProperty(model, 'fromJSON');
    }
  }

  private take(file: IFile): void {
    const { model } = this.context;
    const here = this.cells();
    this.names = sameCells(here, file.cells.map(cellOfFile), this.names);
    const written = file.cells.map(cell => ({ ...cell, id: this.names.get(cell.id) ?? cell.id }));
    const theirs = written.map(cellOfFile);
    const edited = this.editing();
    if (edited !== null && isTakenApart(edited, here, theirs)) {
      this.waitsFor = edited;
      this.told = JSON.stringify(theirs); // it is their own text, so there is nothing to say
      return;
    }
    const merged = mergeCells(this.base, here, theirs);
    if (merged === null) {
      this.keep(theirs);
      return;
    }
    this.apply(merged, written);
    model.setMetadata('devstudio', file.metadata.devstudio);
    this.base = theirs;
    this.told = '';
    model.dirty = isEdited(theirs, this.cells());
  }

  /** Leave everything as it is; say so once for each text of the file. */
  private keep(file: readonly ISyncCell[]): void {
    const text = JSON.stringify(file);
    if (text !== this.told) {
      this.told = text;
      this.onKept();
    }
  }

  private apply(merged: readonly IMergedCell[], file: readonly IFileCell[]): void {
    const notebook = this.context.model.sharedModel;
    const wanted = new Set(merged.map(({ id }) => id));
    for (let at = notebook.cells.length - 1; at >= 0; at--) {
      if (!wanted.has(notebook.cells[at]?.id ?? '')) {
        quietly(notebook, () => {
          notebook.deleteCell(at);
        });
      }
    }
    const written = new Map(file.map(cell => [cell.id, cell]));
    merged.forEach(({ id, from }, at) => {
      const present = notebook.cells.findIndex(cell => cell.id === id);
      const cell = written.get(id);
      quietly(notebook, () => {
        if (present === -1 && cell !== undefined) {
          notebook.insertCell(at, cell as unknown as NewCell);
        } else if (present !== at) {
          notebook.moveCell(present, at);
        }
      });
      if (present !== -1 && cell !== undefined) {
        this.update(at, cell, from);
      }
    });
  }

  /** Take over what the server says about a cell, and its text where that is the file's. */
  private update(at: number, written: IFileCell, from: IMergedCell['from']): void {
    const notebook = this.context.model.sharedModel;
    const cell = notebook.getCell(at);
    const mark = written.metadata.devstudio;
    const source = sourceOf(written);
    quietly(notebook, () => {
      if (from === 'file' && source !== cell.getSource()) {
        const { start, end, text } = smallestChange(cell.getSource(), source);
        cell.updateSource(start, end, text);
      }
      if ((from === 'file' || source === cell.getSource()) && mark !== undefined) {
        cell.setMetadata('devstudio', mark);
      }
    });
  }

  private onSave(state: DocumentRegistry.SaveState): void {
    if (state === 'started') {
      this.saving = true;
      this.sent = this.cells(); // JupyterLab takes what it sends at this moment, too
    } else {
      this.saving = false;
    }
    if (state === 'completed') {
      this.base = this.sent;
      this.context.model.dirty = isEdited(this.base, this.cells()); // JupyterLab forgets what was typed meanwhile
    }
    if (!this.saving) {
      // After a save, the server may have merged more into the file than was sent.
      void this.refresh(state === 'completed').catch(() => undefined);
    }
  }

  private cells(): ISyncCell[] {
    return this.context.model.sharedModel.cells.map(cell => ({
      id: cell.id,
      source: cell.getSource(),
      flags: flagsOf(cell.getMetadata('devstudio'))
    }));
  }

  private always = false;
  private base: readonly ISyncCell[];
  private disposed = false;
  private readonly latest = new Latest(() => this.read());
  /** The cells of this notebook that have another id in the file, by that. */
  private names: ReadonlyMap<string, string> = new Map();
  private saving = false;
  private sent: readonly ISyncCell[] = [];
  private told = '';
  /** The cell in which somebody types and which the file has taken apart. */
  private waitsFor: string | null = null;
}

/**
 * Let every save through: JupyterLab would ask whether to overwrite a file that changed since it was read, and the server
 * merges what is saved with that change, block by block. It compares hashes, else times.
 */
function saveWithoutAsking(context: Context): void {
  const prototype: object = Object.getPrototypeOf(context) as object;
  Object.defineProperty(context, 'contentsModel', {
    configurable: true,
    get: () => {
      const model = Reflect.get(prototype, 'contentsModel', context) as Contents.IModel | null;
      return model === null ? null : { ...model, hash: undefined };
    }
  });
  context.lastModifiedCheckMargin = Number.MAX_SAFE_INTEGER;
}

/** Change a notebook in a way that Undo does not take back: it is no deed of the person's. */
function quietly(notebook: SharedNotebook, change: () => void): void {
  notebook.transact(change, false);
}

function cellOfFile(cell: IFileCell): ISyncCell {
  return { id: cell.id, source: sourceOf(cell), flags: flagsOf(cell.metadata.devstudio) };
}

function sourceOf(cell: IFileCell): string {
  return Array.isArray(cell.source) ? cell.source.join('') : cell.source;
}

/** What a person can set for a cell of a document beside its text: whether it is restricted. */
function flagsOf(mark: unknown): string {
  const restricted = typeof mark === 'object' && mark !== null && 'restricted' in mark && mark.restricted === true;
  return restricted ? 'restricted' : '';
}

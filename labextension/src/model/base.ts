import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';

/** What a view shows: it says when it changed, and stops saying so when disposed. */
export abstract class Model implements IDisposable {
  get stateChanged(): ISignal<this, void> {
    return this.changed;
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  dispose(): void {
    this.disposed = true;
    Signal.clearData(this);
  }

  protected emitChange(): void {
    if (!this.disposed) {
      this.changed.emit();
    }
  }

  private readonly changed = new Signal<this, void>(this);
  private disposed = false;
}

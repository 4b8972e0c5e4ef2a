import { Signal } from '@lumino/signaling';

/** Something that one view, another page or another person did, and views show. `all` may be anything. */
export type Change =
  | { kind: 'projects' }
  | { kind: 'sessions'; projectId: string }
  | { kind: 'documents'; sessionId: string }
  | { kind: 'task'; taskId: string }
  | { kind: 'run'; runId: string }
  | { kind: 'all' };

/** Tells every view of this page what another one changed. */
export class Changes {
  readonly happened = new Signal<this, Change>(this);

  emit(change: Change): void {
    this.happened.emit(change);
  }
}

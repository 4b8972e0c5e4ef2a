import { asProblem } from './problem';

/** How to follow something that goes on while we listen. */
export interface IFollow {
  /** From where on: the offset in a log, the number of the last event that is known. */
  offset?: number;
  signal?: AbortSignal;
  /** Told when the stream dropped (true) and when it is back (false). */
  onReconnecting?: (reconnecting: boolean) => void;
  /** Waits before the next attempt; a test replaces it. */
  wait?: (ms: number) => Promise<void>;
}

const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 10_000;

/** Yield what `open` yields, and open it again, after a while, whenever it ends or drops; only a refusal is thrown. */
export async function* resumed<T>(open: () => AsyncGenerator<T>, follow: IFollow): AsyncGenerator<T> {
  const wait = follow.wait ?? (ms => delay(ms, follow.signal));
  let backoff = FIRST_BACKOFF_MS;
  const stopped = (): boolean => follow.signal?.aborted ?? false;
  while (!stopped()) {
    let pause = 0;
    try {
      for await (const piece of open()) {
        backoff = FIRST_BACKOFF_MS;
        follow.onReconnecting?.(false);
        yield piece;
      }
    } catch (error) {
      if (stopped()) {
        return;
      }
      const problem = asProblem(error);
      if (!problem.transient) {
        throw problem;
      }
      pause = (problem.retryAfter ?? 0) * 1000;
    }
    follow.onReconnecting?.(true);
    await wait(Math.max(backoff, pause));
    backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
  }
}

function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

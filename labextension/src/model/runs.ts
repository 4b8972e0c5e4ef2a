import { asProblem, type DevStudioClient, type ProblemError, type Run, type RunCreate } from '@renum/devstudio-api-client';

import type { Changes } from './changes';
import { Latest } from './latest';
import { StartingModel } from './starting';
import { isFinal } from './steps';

const PAGE = 50;
const POLL_MS = 5000;

/** The newest runs of a project, or of all projects, as they come and go. */
export class RunsModel extends StartingModel {
  runs: Run[] = [];
  loaded = false;
  error: ProblemError | null = null;

  constructor(
    /** The project; null for all that the person may see. */
    readonly projectId: string | null,
    private readonly client: DevStudioClient,
    changes: Changes
  ) {
    super(changes);
    changes.happened.connect((_, change) => {
      if (change.kind === 'run' || change.kind === 'all') {
        void this.refresh();
      }
    }, this);
  }

  override dispose(): void {
    clearTimeout(this.timer);
    super.dispose();
  }

  get active(): Run[] {
    return this.runs.filter(run => !isFinal(run.status));
  }

  get hasMore(): boolean {
    return this.next !== null;
  }

  /** Load the newest runs anew. */
  refresh(): Promise<void> {
    return this.latest.run();
  }

  async loadMore(): Promise<void> {
    if (this.next === null) {
      return;
    }
    try {
      const page = await this.client.listRuns({ ...this.query, cursor: this.next });
      const known = new Set(this.runs.map(run => run.id));
      this.runs = [...this.runs, ...page.items.filter(run => !known.has(run.id))];
      this.next = page.next_cursor ?? null;
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
    }
    this.emitChange();
  }

  /** Start a run; its id, or null when that was refused. */
  async start(what: 'test' | 'build' | RunCreate): Promise<string | null> {
    if (this.starting || (this.projectId === null && typeof what === 'string')) {
      return null;
    }
    return this.begin(() =>
      typeof what === 'string' ? this.client.startRun(what, this.projectId ?? '') : this.client.runCommand(what)
    );
  }

  private get query(): { limit: number; project_id?: string } {
    return this.projectId === null ? { limit: PAGE } : { limit: PAGE, project_id: this.projectId };
  }

  private async load(): Promise<void> {
    try {
      const page = await this.client.listRuns(this.query);
      this.runs = page.items;
      this.next = page.next_cursor ?? null;
      this.loaded = true;
      this.error = null;
    } catch (error) {
      this.error = asProblem(error);
    }
    this.emitChange();
    clearTimeout(this.timer);
    if (this.active.length > 0 && !this.isDisposed) {
      this.timer = setTimeout(() => void this.refresh(), POLL_MS); // where the stream of events is not to be had
    }
  }

  private readonly latest = new Latest(() => this.load());
  private next: string | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
}

/** Take a command line apart as a shell would, without doing anything else that a shell does. Null when a quote is open. */
export function wordsOf(line: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (quote !== '') {
      if (char === quote) {
        quote = '';
      } else if (char === '\\' && quote === '"' && '"\\'.includes(line.charAt(at + 1)) && at + 1 < line.length) {
        at += 1;
        word = (word ?? '') + line.charAt(at);
      } else {
        word = (word ?? '') + char;
      }
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (char === '\\' && at + 1 < line.length) {
      at += 1;
      word = (word ?? '') + line.charAt(at);
    } else if (/\s/.test(char)) {
      if (word !== null) {
        words.push(word);
      }
      word = null;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== null) {
    words.push(word);
  }
  return quote === '' ? words : null;
}

import type { Problem } from './types';

/** The media type of errors (RFC 9457). */
const PROBLEM_TYPE = 'application/problem+json';

/** An error that the server explained, or that kept us from reaching it (`status` 0). */
export class ProblemError extends Error {
  /** When the server takes the request again, in milliseconds since 1970, if it said so. */
  readonly retryAt: number | null;

  constructor(
    readonly problem: Problem,
    /** After how many seconds the server takes the request again, if it said so. */
    readonly retryAfter: number | null = null
  ) {
    super(problem.detail || problem.title);
    this.name = 'ProblemError';
    this.retryAt = retryAfter === null ? null : Date.now() + retryAfter * 1000;
  }

  get title(): string {
    return this.problem.title;
  }

  get detail(): string {
    return this.problem.detail;
  }

  get status(): number {
    return this.problem.status;
  }

  get requestId(): string {
    return this.problem.request_id;
  }

  get errors(): NonNullable<Problem['errors']> {
    return this.problem.errors ?? [];
  }

  /** What is wrong at each field of the body, by the field's name; only the first message of each is kept. */
  get fields(): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (const { loc, msg } of this.errors) {
      const name = loc.findLast(part => typeof part === 'string' && part !== 'body');
      if (typeof name === 'string' && !found.has(name)) {
        found.set(name, msg);
      }
    }
    return found;
  }

  /** Whether trying the same again later may work: the network, a limit, or something down. */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** Read the error that `response` carries; Jupyter's own `{message, reason}` is understood too. */
export async function problemOf(response: Response): Promise<ProblemError> {
  const text = await response.text().catch(() => '');
  const data = parseObject(text);
  if (response.headers.get('Content-Type')?.startsWith(PROBLEM_TYPE) === true && data !== null) {
    return problemFrom(data, response.status, retryAfterOf(response));
  }
  return problemFrom(
    {
      title: response.statusText || `HTTP ${String(response.status)}`,
      detail: stringOr(data?.message, stringOr(data?.reason, response.statusText))
    },
    response.status,
    retryAfterOf(response)
  );
}

/** The seconds of `Retry-After`; its other form, a date, is not used by this API. */
export function retryAfterOf(response: Response): number | null {
  const text = response.headers.get('Retry-After') ?? '';
  return /^\d{1,6}$/.test(text) ? Number(text) : null;
}

/** Make a `ProblemError` of a problem document that may lack members. */
export function problemFrom(data: object, status: number, retryAfter: number | null = null): ProblemError {
  const given = data as Partial<Problem>;
  const problem = {
    ...given,
    type: stringOr(given.type, 'about:blank'),
    title: stringOr(given.title, 'Error'),
    status: typeof given.status === 'number' ? given.status : status,
    detail: stringOr(given.detail, ''),
    request_id: stringOr(given.request_id, ''),
    errors: Array.isArray(given.errors) ? given.errors : []
  };
  return new ProblemError(problem, retryAfter);
}

/** Turn whatever was thrown into a `ProblemError`. */
export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) {
    return error;
  }
  const detail = error instanceof Error ? error.message : String(error);
  return problemFrom({ type: 'urn:devstudio:problem:Unreachable', title: 'The server cannot be reached', detail }, 0);
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const data: unknown = JSON.parse(text);
    return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function stringOr(value: unknown, other: string): string {
  return typeof value === 'string' ? value : other;
}

import { asProblem, problemFrom, retryAfterOf } from './problem';

type Answer<T> = Promise<{ data?: T; error?: unknown; response: Response }>;

/** Wait for an answer and return its JSON, if any (a string would be an event stream), or throw what the server said. */
export async function take<T>(answer: Answer<T>): Promise<Exclude<T, string>> {
  try {
    const { data, error, response } = await answer;
    if (data !== undefined || response.status === 204) {
      return data as Exclude<T, string>;
    }
    if (typeof error === 'object' && error !== null) {
      const data = 'title' in error ? error : { ...error, detail: messageOf(error) };
      throw problemFrom(data, response.status, retryAfterOf(response));
    }
    const title = response.statusText || `HTTP ${String(response.status)}`;
    throw problemFrom({ title, detail: typeof error === 'string' ? '' : title }, response.status);
  } catch (error) {
    throw asProblem(error);
  }
}

/** The message of Jupyter's own errors, `{message, reason}`. */
function messageOf(error: object): string {
  return 'message' in error && typeof error.message === 'string' ? error.message : '';
}

export function bodyOf(response: Response): ReadableStream<Uint8Array> {
  if (response.body === null) {
    throw problemFrom({ title: 'The answer has no body', detail: response.url }, response.status);
  }
  return response.body;
}

import { DevStudioClient, type Session, type Task } from '@renum/devstudio-api-client';

type Handler = (request: Request) => Response | Promise<Response>;

export const BASE = 'http://lab.test/base/';

/** A server in memory that speaks HTTP to the real client: routes by `METHOD path`, the last one set wins. */
export class MemoryServer {
  readonly requests: Request[] = [];
  readonly client = new DevStudioClient({
    baseUrl: BASE,
    fetch: async request => {
      this.requests.push(request.clone());
      const path = new URL(request.url).pathname.replace('/base/api/v1/', '');
      const handler = this.routes.get(`${request.method} ${path}`);
      return handler === undefined ? problem(404, 'Not found', `${request.method} ${path}`) : handler(request);
    }
  });

  on(route: string, handler: Handler): this {
    this.routes.set(route, handler);
    return this;
  }

  count(route: string): number {
    return this.requests.filter(({ method, url }) => `${method} ${new URL(url).pathname.replace('/base/api/v1/', '')}` === route)
      .length;
  }

  private readonly routes = new Map<string, Handler>();
}

export function json(data: unknown, status = 200): Response {
  return new Response(JSON.stringify(data), { status, headers: { 'Content-Type': 'application/json' } });
}

export function problem(status: number, title: string, detail: string, errors: object[] = []): Response {
  const body = { type: `urn:test:${title}`, title, status, detail, request_id: 'req-1', errors };
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/problem+json' } });
}

/** An event stream that sends `pieces` and then ends, or breaks when `broken`. */
export function events(pieces: readonly string[], broken = false): Response {
  const encoder = new TextEncoder();
  const left = [...pieces];
  const body = new ReadableStream<Uint8Array>({
    pull: controller => {
      const piece = left.shift();
      if (piece !== undefined) {
        controller.enqueue(encoder.encode(piece));
      } else if (broken) {
        controller.error(new TypeError('network error'));
      } else {
        controller.close();
      }
    }
  });
  return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
}

export function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

export const SESSION_ID = '0199aa00-0000-7000-8000-000000000001';
export const TASK_ID = '0199aa00-0000-7000-8000-000000000002';
const PROJECT_ID = '0199aa00-0000-7000-8000-000000000003';
const AT = '2026-01-01T00:00:00Z';

export function session(version: number, texts: { requirements?: string; design?: string } = {}): Session {
  const document = (content = ''): { content: string; version: number } => ({ content, version: content === '' ? 0 : 1 });
  return {
    id: SESSION_ID,
    project_id: PROJECT_ID,
    title: 'A session',
    description: null,
    status: 'active',
    author_id: PROJECT_ID,
    created_at: AT,
    updated_at: AT,
    completed_at: null,
    version,
    source_module: 'specs',
    metadata: {},
    slug: 'a-session',
    document_versions: {},
    notebook_path: 'p/a-session.ipynb',
    documents: { requirements: document(texts.requirements), design: document(texts.design), tasks: document() },
    warnings: []
  };
}

export function task(change: Partial<Task> = {}): Task {
  return {
    id: TASK_ID,
    session_id: SESSION_ID,
    key: '1',
    title: 'A task',
    description: null,
    status: 'todo',
    status_reason: '',
    criteria: ['1.1'],
    optional: false,
    assignee: '',
    priority: 'medium',
    dod: null,
    estimated_hours: null,
    actual_hours: null,
    evidence: null,
    position: 0,
    version: 1,
    links: [],
    created_at: AT,
    updated_at: AT,
    completed_at: null,
    ...change
  };
}

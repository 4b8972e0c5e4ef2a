import createFetchClient, { type Client } from 'openapi-fetch';

import type { paths } from '../src/schema';
import { AiClient } from './ai';
import { bodyOf, take } from './answers';
import { readEvents } from './events';
import { PlanningClient } from './planning';
import { asProblem, problemFrom, problemOf } from './problem';
import { resumed, type IFollow } from './resumed';
import { SyncClient } from './sync';
import { ReviewClient } from './review';
import type { ITransport } from './transport';
import type {
  ApplyResult,
  GenerateRequest,
  GenerateResult,
  Health,
  Lease,
  LeaseCreate,
  LeaseQuery,
  LogPage,
  Me,
  Page,
  Patch,
  PatchPreview,
  PatchQuery,
  PlanRequest,
  PlanResult,
  Progress,
  Project,
  ProjectCreate,
  ProjectQuery,
  Run,
  RunCreate,
  RunQuery,
  Session,
  SessionCreate,
  SessionQuery,
  SessionSummary,
  SessionUpdate,
  StudioEvent,
  Task,
  TaskList
} from './types';

/** How to listen to a long call. */
export interface ILongCall {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** The DevStudio API, one method a call. Every failure is a `ProblemError`. */
export class DevStudioClient {
  constructor(private readonly transport: ITransport) {
    this.http = createFetchClient<paths>({
      baseUrl: transport.baseUrl.replace(/\/$/, ''),
      fetch: request => transport.fetch(request)
    });
    this.ai = new AiClient(this.http);
    this.planning = new PlanningClient(this.http);
    this.sync = new SyncClient(this.http);
    this.review = new ReviewClient(this.http, path => this.download(path));
  }

  /** The models, how they are used, and what that costs. */
  readonly ai: AiClient;

  /** What models propose for documents, and what is wrong with these. */
  readonly planning: PlanningClient;

  /** The files of sessions, and what could not be merged. */
  readonly sync: SyncClient;

  /** The review of patches: their bytes, who decides, and what they prove. */
  readonly review: ReviewClient;

  health(): Promise<Health> {
    return take(this.http.GET('/api/v1/health'));
  }

  me(): Promise<Me> {
    return take(this.http.GET('/api/v1/me'));
  }

  /** End this browser's sign-in. */
  async signOut(): Promise<void> {
    await take(this.http.POST('/api/v1/auth/sign-out'));
  }

  listProjects(query: ProjectQuery = {}): Promise<Page<Project>> {
    return take(this.http.GET('/api/v1/projects', { params: { query } }));
  }

  createProject(body: ProjectCreate): Promise<Project> {
    return take(this.http.POST('/api/v1/projects', { body }));
  }

  project(project_id: string): Promise<Project> {
    return take(this.http.GET('/api/v1/projects/{project_id}', { params: { path: { project_id } } }));
  }

  listSessions(query: SessionQuery = {}): Promise<Page<SessionSummary>> {
    return take(this.http.GET('/api/v1/spec-sessions', { params: { query } }));
  }

  createSession(body: SessionCreate): Promise<Session> {
    return take(this.http.POST('/api/v1/spec-sessions', { body }));
  }

  session(session_id: string): Promise<Session> {
    return take(this.http.GET('/api/v1/spec-sessions/{session_id}', { params: { path: { session_id } } }));
  }

  /** Change a session; a `version` that is no longer the current one is refused with 412. */
  updateSession(session_id: string, version: number, body: SessionUpdate): Promise<Session> {
    const header = { 'If-Match': `"${String(version)}"` };
    return take(
      this.http.PUT('/api/v1/spec-sessions/{session_id}', { params: { path: { session_id }, header }, body })
    );
  }

  tasks(session_id: string): Promise<TaskList> {
    return take(this.http.GET('/api/v1/spec-sessions/{session_id}/tasks', { params: { path: { session_id } } }));
  }

  task(task_id: string): Promise<Task> {
    return take(this.http.GET('/api/v1/tasks/{task_id}', { params: { path: { task_id } } }));
  }

  plan(body: PlanRequest, listen: ILongCall = {}): Promise<PlanResult> {
    return this.long<PlanResult>('api/v1/plan', body, listen);
  }

  generateCode(body: GenerateRequest, listen: ILongCall = {}): Promise<GenerateResult> {
    return this.long<GenerateResult>('api/v1/code/generate', body, listen);
  }

  listPatches(query: PatchQuery = {}): Promise<Page<Patch>> {
    return take(this.http.GET('/api/v1/code/patches', { params: { query } }));
  }

  patch(patch_id: string): Promise<Patch> {
    return take(this.http.GET('/api/v1/code/patches/{patch_id}', { params: { path: { patch_id } } }));
  }

  previewPatch(patch_id: string): Promise<PatchPreview> {
    return take(this.http.POST('/api/v1/code/preview', { body: { patch_id } }));
  }

  /** Approve the bytes and the revision that were looked at; others are refused. */
  approvePatch(patch_id: string, digest: string, revision: number): Promise<Patch> {
    const body = { digest, revision };
    return take(this.http.POST('/api/v1/code/patches/{patch_id}/approve', { params: { path: { patch_id } }, body }));
  }

  rejectPatch(patch_id: string, reason: string): Promise<Patch> {
    return take(
      this.http.POST('/api/v1/code/patches/{patch_id}/reject', { params: { path: { patch_id } }, body: { reason } })
    );
  }

  applyPatch(patch_id: string): Promise<ApplyResult> {
    return take(this.http.POST('/api/v1/code/apply', { body: { patch_id } }));
  }

  run(run_id: string): Promise<Run> {
    return take(this.http.GET('/api/v1/exec/{run_id}', { params: { path: { run_id } } }));
  }

  listRuns(query: RunQuery = {}): Promise<Page<Run>> {
    return take(this.http.GET('/api/v1/exec', { params: { query } }));
  }

  cancelRun(run_id: string): Promise<Run> {
    return take(this.http.POST('/api/v1/exec/{run_id}/cancel', { params: { path: { run_id } } }));
  }

  /** Run a project's tests or its build, by what is found in the project. */
  startRun(type: 'test' | 'build', project_id: string): Promise<Run> {
    const body = { project_id };
    return type === 'test'
      ? take(this.http.POST('/api/v1/exec/test', { body }))
      : take(this.http.POST('/api/v1/exec/build', { body }));
  }

  /** Run a command of one's own in a project. */
  runCommand(body: RunCreate): Promise<Run> {
    return take(this.http.POST('/api/v1/exec', { body }));
  }

  /** Do a run once more. */
  rerun(run_id: string): Promise<Run> {
    return take(this.http.POST('/api/v1/exec/{run_id}/rerun', { params: { path: { run_id } } }));
  }

  /** A run's log, as far as it has come. */
  downloadLog(runId: string): Promise<Blob> {
    return this.download(`api/v1/exec/${encodeURIComponent(runId)}/logs/download`);
  }

  /** A file that a run left. */
  downloadArtifact(runId: string, name: string): Promise<Blob> {
    return this.download(`api/v1/exec/${encodeURIComponent(runId)}/artifacts/${encodeURIComponent(name)}`);
  }

  leases(query: LeaseQuery = {}): Promise<Page<Lease>> {
    return take(this.http.GET('/api/v1/egress/leases', { params: { query } }));
  }

  requestLease(body: LeaseCreate): Promise<Lease> {
    return take(this.http.POST('/api/v1/egress/leases', { body }));
  }

  approveLease(lease_id: string): Promise<Lease> {
    return take(this.http.POST('/api/v1/egress/leases/{lease_id}/approve', { params: { path: { lease_id } }, body: {} }));
  }

  denyLease(lease_id: string, reason: string): Promise<Lease> {
    return take(
      this.http.POST('/api/v1/egress/leases/{lease_id}/deny', { params: { path: { lease_id } }, body: { reason } })
    );
  }

  /** Yield a run's log from `offset` to its end. A dropped stream is resumed where it stopped: no gap, nothing twice. */
  async *followLog(runId: string, follow: IFollow = {}): AsyncGenerator<LogPage> {
    let offset = follow.offset ?? 0;
    for await (const page of resumed(() => this.streamLog(runId, offset, follow.signal), follow)) {
      offset = page.next_offset;
      yield page;
      if (page.eof) {
        return;
      }
    }
  }

  /**
   * Yield what changes in the tenant, without an end: first where the stream begins, then each change once and in order.
   * A dropped stream is resumed after the last event.
   */
  async *followEvents(follow: IFollow = {}): AsyncGenerator<StudioEvent> {
    let after = follow.offset ?? null;
    for await (const event of resumed(() => this.streamEvents(after, follow.signal), follow)) {
      after = event.seq;
      yield event;
    }
  }

  private readonly http: Client<paths>;

  private async download(path: string): Promise<Blob> {
    try {
      const response = await this.transport.fetch(new Request(this.transport.baseUrl + path));
      if (!response.ok) {
        throw await problemOf(response);
      }
      return await response.blob();
    } catch (error) {
      throw asProblem(error);
    }
  }

  private async *streamEvents(after: number | null, signal?: AbortSignal): AsyncGenerator<StudioEvent> {
    const path = after === null ? 'api/v1/events' : `api/v1/events?after=${String(after)}`;
    const response = await this.openEvents(path, signal === undefined ? {} : { signal });
    for await (const { event, data } of readEvents(bodyOf(response))) {
      if (event === 'error') {
        throw problemFrom(JSON.parse(data) as object, 500);
      }
      if (event === 'ready' || event === 'change' || event === 'reset') {
        yield { kind: event, ...(JSON.parse(data) as { seq: number }) } as StudioEvent;
      }
    }
  }

  private async *streamLog(runId: string, offset: number, signal?: AbortSignal): AsyncGenerator<LogPage> {
    const path = `api/v1/exec/${encodeURIComponent(runId)}/logs?offset=${String(offset)}`;
    const response = await this.openEvents(path, signal === undefined ? {} : { signal });
    for await (const { event, data } of readEvents(bodyOf(response))) {
      if (event === 'error') {
        throw problemFrom(JSON.parse(data) as object, 500);
      }
      if (event === 'log') {
        const page = JSON.parse(data) as LogPage;
        if (page.offset !== offset) {
          return; // not where we asked to go on: ask again rather than show a gap or a double
        }
        offset = page.next_offset;
        yield page;
      }
    }
  }

  /** POST a long call and listen to its events until its result. */
  private async long<T>(path: string, body: object, { onProgress, signal }: ILongCall): Promise<T> {
    try {
      const response = await this.openEvents(path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
        ...(signal === undefined ? {} : { signal })
      });
      for await (const { event, data } of readEvents(bodyOf(response))) {
        if (event === 'progress') {
          onProgress?.(JSON.parse(data) as Progress);
        } else if (event === 'error') {
          throw problemFrom(JSON.parse(data) as object, 500);
        } else if (event === 'result') {
          return JSON.parse(data) as T;
        }
      }
    } catch (error) {
      throw asProblem(error);
    }
    throw problemFrom(
      {
        title: 'The connection was lost',
        detail: 'The server may still be working. Refresh to see whether it has finished before you try again.'
      },
      0
    );
  }

  private async openEvents(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('Accept', 'text/event-stream');
    const response = await this.transport.fetch(new Request(this.transport.baseUrl + path, { ...init, headers }));
    if (!response.ok) {
      throw await problemOf(response);
    }
    return response;
  }
}


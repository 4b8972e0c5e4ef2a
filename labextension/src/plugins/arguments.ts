import { InputDialog } from '@jupyterlab/apputils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { PatchStatus } from '@renum/devstudio-api-client';

import type { IDevStudio } from '../tokens';
import { PatchView } from '../ui/patch';
import { RunView } from '../ui/run';
import { RunsView } from '../ui/runs';
import { SessionView } from '../ui/session';
import type { Views } from '../views';

type Args = ReadonlyPartialJSONObject;

/** Finds what a command acts on: its argument, else the view in front, else what a person picks. */
export class Arguments {
  constructor(
    private readonly studio: IDevStudio,
    private readonly views: Views
  ) {}

  async sessionId(args: Args): Promise<string | null> {
    const { current } = this.views;
    if (typeof args.sessionId === 'string') {
      return args.sessionId;
    }
    if (typeof args.taskId === 'string') {
      return (await this.studio.client.task(args.taskId)).session_id;
    }
    if (current instanceof SessionView) {
      return current.model.id;
    }
    const sessions = (await this.studio.client.listSessions({ limit: 200 })).items;
    return this.pick(
      this.studio.trans.__('Which session?'),
      sessions.map(({ id, title }) => ({ id, label: title })),
      this.studio.trans.__('There is no session yet. Create one first.')
    );
  }

  async projectId(args: Args): Promise<string | null> {
    const { current } = this.views;
    if (typeof args.projectId === 'string' && args.projectId !== '') {
      return args.projectId;
    }
    if (current instanceof RunsView && current.model.projectId !== null) {
      return current.model.projectId;
    }
    if (current instanceof RunView && current.model.run !== null) {
      return current.model.run.project_id;
    }
    if (current instanceof SessionView && current.model.session !== null) {
      return current.model.session.project_id;
    }
    if (current instanceof PatchView && current.model.patch !== null) {
      return current.model.patch.project_id;
    }
    const projects = (await this.studio.client.listProjects({ limit: 200 })).items;
    return this.pick(
      this.studio.trans.__('Which project?'),
      projects.map(({ id, name }) => ({ id, label: name })),
      this.studio.trans.__('There is no project yet. Create one first.')
    );
  }

  /** A task of a session that is not done. */
  async taskId(args: Args, sessionId: string): Promise<string | null> {
    if (typeof args.taskId === 'string') {
      return args.taskId;
    }
    const tasks = (await this.studio.client.tasks(sessionId)).items.filter(task => task.status !== 'done');
    return this.pick(
      this.studio.trans.__('Which task?'),
      tasks.map(({ id, key, title }) => ({ id, label: `${key} ${title}` })),
      this.studio.trans.__('This session has no open task. Plan its tasks first.')
    );
  }

  async patchId(args: Args, status?: PatchStatus): Promise<string | null> {
    const { current } = this.views;
    if (typeof args.patchId === 'string') {
      return args.patchId;
    }
    if (current instanceof PatchView) {
      return current.model.id;
    }
    const query = status === undefined ? { limit: 50 } : { limit: 50, status };
    const patches = (await this.studio.client.listPatches(query)).items;
    return this.pick(
      this.studio.trans.__('Which patch?'),
      patches.map(({ id, summary }) => ({ id, label: `${summary} (${id.slice(-6)})` })),
      this.studio.trans.__('There is no such patch. Generate code for a task first.')
    );
  }

  async runId(args: Args): Promise<string | null> {
    const { current } = this.views;
    if (typeof args.runId === 'string') {
      return args.runId;
    }
    if (current instanceof RunView) {
      return current.model.id;
    }
    if (current instanceof PatchView && current.model.patch?.run_id != null) {
      return current.model.patch.run_id;
    }
    const runs = (await this.studio.client.listRuns({ limit: 50 })).items;
    return this.pick(
      this.studio.trans.__('Which run?'),
      runs.map(({ id, status, created_at }) => ({ id, label: `${new Date(created_at).toLocaleString()}: ${status}` })),
      this.studio.trans.__('There is no run yet. Run the tests of a project first.')
    );
  }

  private async pick(
    title: string,
    choices: readonly { id: string; label: string }[],
    none: string
  ): Promise<string | null> {
    const [only] = choices;
    if (only === undefined) {
      throw new Error(none);
    }
    if (choices.length === 1) {
      return only.id;
    }
    const numbered = choices.map(({ label }, at) => `${String(at + 1)}. ${label}`); // labels may repeat
    const { value } = await InputDialog.getItem({ title, items: numbered });
    return value === null ? null : (choices[numbered.indexOf(value)]?.id ?? null);
  }
}

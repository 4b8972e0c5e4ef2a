import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IEditorServices } from '@jupyterlab/codeeditor';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { asProblem } from '@renum/devstudio-api-client';

import type { Deed } from '../model/access';
import { patchIcon, projectIcon, runIcon, sessionIcon } from '../icons';
import { CommandIds, IDevStudio } from '../tokens';
import { askNewProject, askNewSession } from '../ui/dialogs';
import { PatchView } from '../ui/patch';
import { missingReason } from '../ui/permission';
import { SessionView } from '../ui/session';
import { Views } from '../views';
import { aiCommands } from './ai-commands';
import { Arguments } from './arguments';
import { reviewCommands } from './review-commands';
import { runCommands } from './run-commands';

type Args = ReadonlyPartialJSONObject;
type Options = CommandRegistry.ICommandOptions;

/** The commands of the main job, and the views that they open. */
export const commands: JupyterFrontEndPlugin<void> = {
  id: '@renum/devstudio:commands',
  description: 'Adds the commands and views of sessions, patches and runs.',
  autoStart: true,
  requires: [IDevStudio, IEditorServices, IEditorLanguageRegistry],
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (
    app,
    studio: IDevStudio,
    editors: IEditorServices,
    languages: IEditorLanguageRegistry,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const views = new Views({ app, studio, editors: editors.factoryService, languages });
    const found = new Arguments(studio, views);
    const all = {
      ...creationCommands(studio),
      ...sessionCommands(app, studio, views, found),
      ...patchCommands(studio, views, found),
      ...reviewCommands(studio, views, found),
      ...runCommands(app, studio, views, found),
      ...aiCommands(studio, views, found)
    };
    for (const [id, options] of Object.entries(all)) {
      app.commands.addCommand(id, permitted(studio, DEEDS[id] ?? null, options));
      if (id !== CommandIds.saveDocument && id !== CommandIds.openFileAt) {
        palette?.addItem({ command: id, category: studio.trans.__('DevStudio') });
      }
    }
    app.commands.addKeyBinding({
      command: CommandIds.saveDocument,
      keys: ['Accel S'],
      selector: '.devstudio-Session'
    });
    const refreshEnabled = (): void => {
      app.commands.notifyCommandChanged();
    };
    views.sessions.currentChanged.connect((_, view) => {
      refreshEnabled();
      studio.model.setCurrent(view?.model.id ?? null);
    });
    views.patches.currentChanged.connect((_, view) => {
      refreshEnabled();
      view?.model.stateChanged.connect(refreshEnabled);
    });
    studio.access.stateChanged.connect(refreshEnabled);
    if (restorer !== null) {
      restore(restorer, views);
    }
  }
};

/** What a command does, where that takes more than reading. */
const DEEDS: Readonly<Record<string, Deed>> = {
  [CommandIds.newProject]: 'createProject',
  [CommandIds.newSession]: 'createSession',
  [CommandIds.plan]: 'plan',
  [CommandIds.saveDocument]: 'updateSession',
  [CommandIds.generateCode]: 'generateCode',
  [CommandIds.aiSettings]: 'setAgentSettings',
  [CommandIds.approvePatch]: 'approvePatch',
  [CommandIds.applyPatch]: 'applyPatch',
  [CommandIds.uploadPatch]: 'uploadPatch',
  [CommandIds.exportEvidence]: 'exportEvidence',
  [CommandIds.openRunLogs]: 'openRun',
  [CommandIds.openRuns]: 'openRun',
  [CommandIds.runTests]: 'startRun',
  [CommandIds.runBuild]: 'startRun',
  [CommandIds.runCommand]: 'startRun'
};

/** A command that is disabled, and says why, for whoever may not do what it does. */
function permitted(studio: IDevStudio, deed: Deed | null, options: Options): Options {
  const { access, trans } = studio;
  const missing = (): string | null => (deed === null ? null : missingReason(access, deed, trans));
  const { isEnabled, caption } = options;
  return {
    ...options,
    isEnabled: args => missing() === null && (isEnabled?.(args) ?? true),
    caption: args => missing() ?? (typeof caption === 'function' ? caption(args) : (caption ?? '')),
    execute: args => {
      const reason = missing();
      if (reason !== null) {
        Notification.warning(reason, { autoClose: 5000 }); // launcher cards do not look whether they are enabled
        return null;
      }
      return attempt(studio, () => options.execute(args));
    }
  };
}

/** Run a command; what goes wrong outside a view is told by a notification. */
async function attempt({ access, commands: all }: IDevStudio, work: () => unknown): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    const { title, detail, requestId, status } = asProblem(error);
    if (status === 401 && access.team) {
      if (access.signedOut) {
        await all.execute(CommandIds.signInAgain);
      }
      return null; // the dialog says it
    }
    const cause = status === 0 ? detail : `${title}: ${detail}`;
    Notification.error(requestId === '' ? cause : `${cause} (${requestId})`, { autoClose: false });
    return null;
  }
}

function restore(restorer: ILayoutRestorer, views: Views): void {
  void restorer.restore(views.sessions, {
    command: CommandIds.openSession,
    args: view => ({ sessionId: view.model.id }),
    name: view => view.model.id
  });
  void restorer.restore(views.patches, {
    command: CommandIds.reviewPatch,
    args: view => ({ patchId: view.model.id }),
    name: view => view.model.id
  });
  void restorer.restore(views.runs, {
    command: CommandIds.openRunLogs,
    args: view => ({ runId: view.model.id }),
    name: view => view.model.id
  });
  void restorer.restore(views.costs, { command: CommandIds.openCosts, name: () => 'costs' });
  void restorer.restore(views.lists, {
    command: CommandIds.openRuns,
    args: view => ({ projectId: view.model.projectId ?? '' }),
    name: view => view.model.projectId ?? ''
  });
}

function creationCommands(studio: IDevStudio): Record<string, Options> {
  const { trans } = studio;
  return {
    [CommandIds.newProject]: {
      label: trans.__('New Project'),
      caption: trans.__('Create a project with its own git repository'),
      icon: projectIcon,
      execute: async () => {
        const project = await askNewProject(studio);
        if (project === null) {
          return null;
        }
        await studio.commands.execute(CommandIds.showPanel).catch(() => undefined);
        await studio.commands.execute('filebrowser:refresh').catch(() => undefined);
        return askAndOpenSession(studio, project.id);
      }
    },
    [CommandIds.newSession]: {
      label: trans.__('New Session'),
      caption: trans.__('Start a spec session: requirements, design, tasks'),
      icon: sessionIcon,
      execute: (args: Args) =>
        askAndOpenSession(studio, typeof args.projectId === 'string' ? args.projectId : undefined)
    },
    [CommandIds.refresh]: {
      label: trans.__('Refresh'),
      execute: () => studio.model.refresh()
    }
  };
}

async function askAndOpenSession(studio: IDevStudio, projectId?: string): Promise<unknown> {
  const session = await askNewSession(studio, projectId);
  return session === null ? null : studio.commands.execute(CommandIds.openSession, { sessionId: session.id });
}

function sessionCommands(
  app: JupyterFrontEnd,
  studio: IDevStudio,
  views: Views,
  found: Arguments
): Record<string, Options> {
  const { trans } = studio;
  const open = async (args: Args): Promise<SessionView | null> => {
    const id = await found.sessionId(args);
    return id === null ? null : views.openSession(id);
  };
  return {
    [CommandIds.openSession]: {
      label: trans.__('Open Session'),
      icon: sessionIcon,
      execute: open
    },
    [CommandIds.openNotebook]: {
      label: trans.__('Open Session Notebook'),
      execute: async (args: Args) => {
        const id = await found.sessionId(args);
        if (id === null) {
          return null;
        }
        const { notebook_path } = await studio.client.session(id);
        await app.commands.execute('docmanager:open', { path: notebook_path });
        return null;
      }
    },
    [CommandIds.plan]: {
      label: trans.__('Plan'),
      caption: trans.__('Have a model write the documents of a session'),
      execute: async (args: Args) => (await open(args))?.reveal('plan')
    },
    [CommandIds.showTasks]: {
      label: trans.__('Show Tasks'),
      execute: async (args: Args) => (await open(args))?.reveal('tasks')
    },
    [CommandIds.saveDocument]: {
      label: trans.__('Save Document'),
      isEnabled: () => views.current instanceof SessionView,
      execute: () => {
        const { current } = views;
        return current instanceof SessionView ? current.model.save(current.model.shown) : null;
      }
    },
    [CommandIds.generateCode]: {
      label: trans.__('Generate Code'),
      caption: trans.__('Have a model write the code of a task; nothing is applied'),
      execute: (args: Args) => generate(args, views, found)
    }
  };
}

/** Generate in the task's session view, where progress and errors show. */
async function generate(args: Args, views: Views, found: Arguments): Promise<string | null> {
  const sessionId = await found.sessionId(args);
  const taskId = sessionId === null ? null : await found.taskId(args, sessionId);
  if (sessionId === null || taskId === null) {
    return null;
  }
  const view = views.openSession(sessionId);
  const instructions = typeof args.instructions === 'string' ? args.instructions : '';
  return view.model.generate(taskId, instructions, view.aiModel);
}

function patchCommands(studio: IDevStudio, views: Views, found: Arguments): Record<string, Options> {
  const { trans } = studio;
  /** What is known of the patch that a command would act on; unknown patches stay enabled. */
  const state = (args: Args): PatchView | null => {
    const { current } = views;
    return typeof args.patchId === 'string'
      ? views.patch(args.patchId)
      : current instanceof PatchView
        ? current
        : null;
  };
  return {
    [CommandIds.reviewPatch]: {
      label: trans.__('Review Patch'),
      icon: patchIcon,
      execute: async (args: Args) => {
        const id = await found.patchId(args, 'pending');
        return id === null ? null : views.openPatch(id);
      }
    },
    [CommandIds.approvePatch]: {
      label: trans.__('Approve Patch'),
      caption: trans.__('Approve the bytes that the review shows'),
      isEnabled: (args: Args) => state(args)?.model.canApprove ?? true,
      execute: async (args: Args) => {
        const id = await found.patchId(args, 'pending');
        const shown = id === null ? null : views.patch(id);
        if (id !== null && shown === null) {
          return views.openPatch(id); // nobody approves what was not on the screen
        }
        return shown?.model.approve();
      }
    },
    [CommandIds.applyPatch]: {
      label: trans.__('Apply and Test'),
      caption: trans.__('Apply an approved patch in the sandbox, test it there, commit when the tests pass'),
      isEnabled: (args: Args) => state(args)?.model.canApply ?? true,
      execute: async (args: Args) => {
        const id = await found.patchId(args, 'approved');
        return id === null ? null : apply(id, studio, views);
      }
    },
    [CommandIds.openRunLogs]: {
      label: trans.__('Open Run Logs'),
      icon: runIcon,
      execute: async (args: Args) => {
        const id = await found.runId(args);
        return id === null ? null : views.openRun(id);
      }
    }
  };
}

/** Apply, and show the run's log. A patch that is open shows its own errors. */
async function apply(patchId: string, studio: IDevStudio, views: Views): Promise<unknown> {
  const shown = views.patch(patchId);
  if (shown !== null) {
    const runId = await shown.model.apply();
    return runId === null ? null : views.openRun(runId);
  }
  const { run_id } = await studio.client.applyPatch(patchId);
  const { task_id } = await studio.client.patch(patchId);
  studio.changes.emit({ kind: 'task', taskId: task_id });
  return views.openRun(run_id);
}

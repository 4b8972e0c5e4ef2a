import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Widget } from '@lumino/widgets';

import { runIcon } from '../icons';
import { wordsOf } from '../model/runs';
import { CommandIds, type IDevStudio } from '../tokens';
import { openForm } from '../ui/form';
import type { Views } from '../views';
import type { Arguments } from './arguments';

type Args = ReadonlyPartialJSONObject;
type Options = CommandRegistry.ICommandOptions;

/** The commands that start runs, list them, and open what they point to. */
export function runCommands(
  app: JupyterFrontEnd,
  studio: IDevStudio,
  views: Views,
  found: Arguments
): Record<string, Options> {
  const { trans, client } = studio;
  /** Start in the project's list of runs, where a refusal shows, and show the run. */
  const start = async (args: Args, type: 'test' | 'build'): Promise<unknown> => {
    const id = await found.projectId(args);
    if (id === null) {
      return null;
    }
    const list = await views.openRuns(id);
    const runId = await list.model.start(type);
    return runId === null ? null : views.openRun(runId);
  };
  return {
    [CommandIds.openRuns]: {
      label: trans.__('Runs of a Project'),
      icon: runIcon,
      execute: async (args: Args) => {
        const id = await found.projectId(args);
        return id === null ? null : views.openRuns(id);
      }
    },
    [CommandIds.runTests]: {
      label: trans.__('Run Tests'),
      caption: trans.__('Run the tests of a project in the sandbox, on what is committed'),
      icon: runIcon,
      execute: (args: Args) => start(args, 'test')
    },
    [CommandIds.runBuild]: {
      label: trans.__('Build'),
      caption: trans.__('Build a project in the sandbox, on what is committed'),
      execute: (args: Args) => start(args, 'build')
    },
    [CommandIds.runCommand]: {
      label: trans.__('Run Command…'),
      caption: trans.__('Run a command of your own in the sandbox'),
      execute: async (args: Args) => {
        const id = await found.projectId(args);
        const runId = id === null ? null : await askCommand(studio, id);
        return runId === null ? null : views.openRun(runId);
      }
    },
    [CommandIds.openFileAt]: {
      label: trans.__('Open File at Line'),
      isVisible: () => false,
      execute: async (args: Args) => {
        const { projectId, file, line } = args;
        if (typeof projectId !== 'string' || typeof file !== 'string') {
          return;
        }
        const { path } = await client.project(projectId);
        await openAt(app, placeOf(path, file), typeof line === 'number' ? line : 1);
      }
    }
  };
}

/** The path of a project's file for Jupyter. What a test report names came from the sandbox, so it has to stay below. */
export function placeOf(folder: string, file: string): string {
  const parts = file.split('/').filter(part => part !== '' && part !== '.');
  if (file.startsWith('/') || parts.length === 0 || parts.includes('..')) {
    throw new Error(`${file} is no file of the project.`);
  }
  return [...folder.split('/').filter(part => part !== ''), ...parts].join('/');
}

/** Open a file in an editor with the cursor in a line, counted from 1. */
async function openAt(app: JupyterFrontEnd, path: string, line: number): Promise<void> {
  const opened: unknown = await app.commands.execute('docmanager:open', { path, factory: 'Editor' });
  const widget = opened as IDocumentWidget<Widget & { editor?: CodeEditor.IEditor }> | undefined;
  await widget?.context.ready;
  await widget?.revealed;
  const editor = widget?.content.editor;
  if (widget !== undefined && editor !== undefined) {
    app.shell.activateById(widget.id);
    const at = { line: Math.min(Math.max(line, 1), editor.lineCount) - 1, column: 0 };
    editor.setCursorPosition(at);
    editor.revealPosition(at);
    editor.focus();
  }
}

/** Ask for a command and start it; the run's id, or null when cancelled. */
function askCommand(studio: IDevStudio, projectId: string): Promise<string | null> {
  const { trans, client, changes } = studio;
  return openForm(studio, {
    title: trans.__('Run a command'),
    submitLabel: trans.__('Run'),
    fields: [
      {
        name: 'command',
        label: trans.__('Command'),
        kind: 'text',
        required: true,
        maxLength: 8000,
        hint: trans.__('A program and its arguments, such as: python -m pytest -k "two words". No shell reads it.')
      },
      {
        name: 'type',
        label: trans.__('As'),
        kind: 'select',
        value: 'test',
        options: [
          { value: 'test', label: trans.__('Tests') },
          { value: 'build', label: trans.__('Build') }
        ]
      }
    ],
    submit: async values => {
      const command = wordsOf(values.command ?? '');
      if (command === null) {
        throw new Error(trans.__('A quote is opened and not closed.'));
      }
      const type = values.type === 'build' ? 'build' : 'test';
      const run = await client.runCommand({ project_id: projectId, type, command });
      changes.emit({ kind: 'run', runId: run.id });
      return run.id;
    }
  });
}

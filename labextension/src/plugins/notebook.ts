import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { Contents } from '@jupyterlab/services';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { CommandToolbarButton } from '@jupyterlab/ui-components';

import { devstudioIcon } from '../icons';
import type { Change } from '../model/changes';
import { CommandIds, IDevStudio } from '../tokens';
import { showConflicts } from './notebook-conflicts';
import { NotebookFile } from './notebook-file';

/** Connects session notebooks with their session. */
export const notebook: JupyterFrontEndPlugin<void> = {
  id: '@renum/devstudio:notebook',
  description: 'Adds the session, planning and tasks to the toolbar of session notebooks, and keeps them current.',
  autoStart: true,
  requires: [IDevStudio, INotebookTracker],
  activate: (app, studio: IDevStudio, tracker: INotebookTracker) => {
    tracker.widgetAdded.connect((_, panel) => {
      void panel.context.ready.then(() => {
        const sessionId = sessionOf(panel);
        if (sessionId !== null) {
          openWithoutKernel(panel);
          settle(panel.context.model);
          addToolbar(panel, sessionId, studio);
          connect(panel, sessionId, studio, app.serviceManager.contents);
          showConflicts(panel, sessionId, studio);
        }
      });
    });
  }
};

/** The session that a notebook belongs to, from its metadata. */
function sessionOf(panel: NotebookPanel): string | null {
  const metadata: unknown = panel.context.model.getMetadata('devstudio');
  return typeof metadata === 'object' &&
    metadata !== null &&
    'session_id' in metadata &&
    typeof metadata.session_id === 'string'
    ? metadata.session_id
    : null;
}

/** A spec is read and written, not run: opening it neither asks for a kernel nor starts one. */
function openWithoutKernel(panel: NotebookPanel): void {
  const { sessionContext } = panel.context;
  sessionContext.kernelPreference = { ...sessionContext.kernelPreference, shouldStart: false };
}

/**
 * Forget the edit that nobody made: JupyterLab adds empty kernel metadata to a notebook without any the first time that
 * something reads it as JSON, and then calls it edited. Only for a model that was just loaded.
 */
function settle(model: DocumentRegistry.IModel): void {
  model.toJSON();
  model.dirty = false;
}

function addToolbar(panel: NotebookPanel, sessionId: string, studio: IDevStudio): void {
  const { commands, trans } = studio;
  const buttons = [
    { name: 'devstudio-session', id: CommandIds.openSession, label: trans.__('Session'), icon: devstudioIcon },
    { name: 'devstudio-plan', id: CommandIds.plan, label: trans.__('Plan') },
    { name: 'devstudio-tasks', id: CommandIds.showTasks, label: trans.__('Tasks') }
  ];
  for (const { name, id, ...look } of buttons) {
    panel.toolbar.addItem(name, new CommandToolbarButton({ commands, id, args: { sessionId }, ...look }));
  }
}

/** Show what the server wrote in the notebook, and tell the views when a save changed the session. */
function connect(panel: NotebookPanel, sessionId: string, studio: IDevStudio, contents: Contents.IManager): void {
  const { content, context } = panel;
  const file = new NotebookFile(
    context,
    contents,
    () => (content.mode === 'edit' ? (content.activeCell?.model.id ?? null) : null),
    () => {
      tellKept(studio);
    }
  );
  const resume = (): void => {
    file.resume();
  };
  content.stateChanged.connect(resume);
  content.activeCellChanged.connect(resume);
  const onChange = (_: unknown, change: Change): void => {
    if (change.kind === 'all' || (change.kind === 'documents' && change.sessionId === sessionId)) {
      void file.refresh().catch(() => undefined); // the file browser and the next save say what is wrong with the file
    }
  };
  studio.changes.happened.connect(onChange);
  context.saveState.connect((_, state) => {
    if (state === 'completed') {
      studio.changes.emit({ kind: 'documents', sessionId });
    }
  });
  panel.disposed.connect(() => {
    studio.changes.happened.disconnect(onChange);
    file.dispose();
  });
}

function tellKept(studio: IDevStudio): void {
  Notification.warning(
    studio.trans.__(
      'This session changed on the server. The notebook keeps your unsaved edits; save it to merge them.'
    ),
    { autoClose: 10_000 }
  );
}

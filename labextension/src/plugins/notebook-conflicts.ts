import { asProblem, type Conflict } from '@renum/devstudio-api-client';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Widget } from '@lumino/widgets';

import type { Change } from '../model/changes';
import { Latest } from '../model/latest';
import { CommandIds, type IDevStudio } from '../tokens';

const MARK = 'devstudio-mod-conflict';

/** Marks the cells of an open notebook whose text did not merge, and counts them in its toolbar. */
export function showConflicts(panel: NotebookPanel, sessionId: string, studio: IDevStudio): void {
  const { trans, commands, client, changes } = studio;
  const count = document.createElement('button');
  count.type = 'button';
  count.className = 'devstudio-Chip devstudio-mod-warn devstudio-ConflictCount';
  count.dataset.testid = 'notebook-conflicts';
  count.title = trans.__('Show both texts, and choose');
  count.onclick = () => void commands.execute(CommandIds.openSession, { sessionId });
  const item = new Widget({ node: count });
  item.hide();
  panel.toolbar.addItem('devstudio-conflicts', item);
  let open: readonly Conflict[] = [];
  let marked = false;
  const mark = (): void => {
    if (open.length === 0 && !marked) {
      return; // this is called at every key
    }
    marked = open.length > 0;
    for (const cell of panel.content.widgets) {
      const text = cell.model.sharedModel.getSource();
      const found = open.some(({ block_id: id }) => id !== '' && (cell.model.id === id || text.includes(`id:${id} `)));
      cell.toggleClass(MARK, found);
      if (found) {
        cell.node.dataset.devstudioConflict = trans.__('Conflict: this was changed elsewhere, too. Both texts are in the session.');
      } else {
        delete cell.node.dataset.devstudioConflict;
      }
    }
    count.textContent = trans._n('%1 conflict', '%1 conflicts', open.length, open.length);
    item.setHidden(open.length === 0);
  };
  const latest = new Latest(async () => {
    try {
      open = (await client.sync.conflicts(sessionId)).items.filter(({ status }) => status === 'open');
    } catch (error) {
      asProblem(error); // the session view says what is wrong, and what was marked stays
    }
    if (!panel.isDisposed) {
      mark();
    }
  });
  const onChange = (_: unknown, change: Change): void => {
    if (change.kind === 'all' || (change.kind === 'documents' && change.sessionId === sessionId)) {
      void latest.run();
    }
  };
  changes.happened.connect(onChange);
  panel.content.modelContentChanged.connect(mark);
  panel.disposed.connect(() => {
    changes.happened.disconnect(onChange);
  });
  void latest.run();
}

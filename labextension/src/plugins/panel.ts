import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';

import { devstudioIcon } from '../icons';
import { CommandIds, IDevStudio } from '../tokens';
import { StudioPanel } from '../ui/panel';

/** Where a workspace remembers that its panel was shown once. */
const INTRODUCED = 'devstudio-panel:introduced';

/** The left panel. */
export const panel: JupyterFrontEndPlugin<void> = {
  id: '@renum/devstudio:panel',
  description: 'Shows projects and sessions in the left side bar.',
  autoStart: true,
  requires: [IDevStudio],
  optional: [ILayoutRestorer, IStateDB, ICommandPalette],
  activate: (
    app,
    studio: IDevStudio,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null,
    palette: ICommandPalette | null
  ) => {
    const widget = new StudioPanel(studio);
    app.shell.add(widget, 'left', { rank: 600 });
    restorer?.add(widget, widget.id);
    app.commands.addCommand(CommandIds.showPanel, {
      label: studio.trans.__('Show DevStudio Panel'),
      icon: devstudioIcon,
      execute: () => {
        app.shell.activateById(widget.id); // the panel takes no focus when it is activated
      }
    });
    palette?.addItem({ command: CommandIds.showPanel, category: studio.trans.__('DevStudio') });
    if (state !== null) {
      void introduce(app, state);
    }
  }
};

/** Show the panel in a workspace that never showed it; from then on what the person chose stays. */
async function introduce(app: JupyterFrontEnd, state: IStateDB): Promise<void> {
  await app.restored;
  if ((await state.fetch(INTRODUCED)) === undefined) {
    await app.commands.execute(CommandIds.showPanel);
    await state.save(INTRODUCED, true);
  }
}

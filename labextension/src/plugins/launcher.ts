import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILauncher } from '@jupyterlab/launcher';

import { CommandIds, IDevStudio } from '../tokens';

/** The cards of the launcher. */
export const launcher: JupyterFrontEndPlugin<void> = {
  id: '@renum/devstudio:launcher',
  description: 'Adds New project and New session to the launcher.',
  autoStart: true,
  requires: [IDevStudio, ILauncher],
  activate: (_, studio: IDevStudio, cards: ILauncher) => {
    const category = studio.trans.__('DevStudio');
    cards.add({ command: CommandIds.newProject, category, rank: 1 });
    cards.add({ command: CommandIds.newSession, category, rank: 2 });
  }
};

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILauncher } from '@jupyterlab/launcher';

import { CommandIds, IDevStudio } from '../tokens';

/** The cards of the launcher. */
export const launcher: JupyterFrontEndPlugin<void> = {
  id: '@renum/devstudio:launcher',
  description: 'Adds New project and New session to the launcher.',
  autoStart: true,
  requires: [IDevStudio, ILauncher],
  activate: (app, studio: IDevStudio, cards: ILauncher) => {
    const { access } = studio;
    const category = studio.trans.__('DevStudio');
    // A card has no look of its own for a disabled command; its title is drawn once.
    const look = (): void => {
      app.shell.toggleClass('devstudio-mod-cannotCreate', access.missing('createProject') !== null);
    };
    access.stateChanged.connect(look);
    void access.ready.then(() => {
      look();
      cards.add({ command: CommandIds.newProject, category, rank: 1 });
      cards.add({ command: CommandIds.newSession, category, rank: 2 });
    });
  }
};

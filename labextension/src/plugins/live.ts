import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { LiveChanges } from '../model/live';
import { IDevStudio } from '../tokens';

/** Shows what others change, while somebody looks at the page. */
export const live: JupyterFrontEndPlugin<void> = {
  id: '@renum/devstudio:live',
  description: 'Refreshes open views when another person, page or run changes what they show.',
  autoStart: true,
  requires: [IDevStudio],
  activate: (_, studio: IDevStudio) => {
    const { access, changes, client } = studio;
    const listener = new LiveChanges({ client, changes });
    const follow = (): void => {
      if (document.visibilityState === 'visible' && !access.signedOut) {
        listener.resume();
      } else {
        listener.pause();
      }
    };
    document.addEventListener('visibilitychange', follow);
    access.stateChanged.connect(follow);
    void access.ready.then(follow);
  }
};

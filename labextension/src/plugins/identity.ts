import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, showDialog } from '@jupyterlab/apputils';

import { CommandIds, IDevStudio } from '../tokens';

/** How long after the end of a sign-in to look, so that the server's clock has passed it too. */
const AFTER_END_MS = 2000;
/** Browsers take no longer timers. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Who is signed in: the way out, and what happens when a sign-in ends while the page is open. Only in a team. */
export const identity: JupyterFrontEndPlugin<void> = {
  id: '@renum/devstudio:identity',
  description: 'Adds Sign Out, and says once when a sign-in has ended.',
  autoStart: true,
  requires: [IDevStudio],
  optional: [ICommandPalette],
  activate: (app, studio: IDevStudio, palette: ICommandPalette | null) => {
    const { access, client, trans } = studio;
    let telling = false;
    app.commands.addCommand(CommandIds.signOut, {
      label: trans.__('Sign Out'),
      isVisible: () => access.team,
      isEnabled: () => access.team,
      execute: async () => {
        await client.signOut();
        window.location.assign(`${app.serviceManager.serverSettings.baseUrl}logout`);
      }
    });
    palette?.addItem({ command: CommandIds.signOut, category: trans.__('DevStudio') });
    app.commands.addCommand(CommandIds.signInAgain, {
      label: trans.__('Sign In Again'),
      isVisible: () => access.signedOut,
      isEnabled: () => access.signedOut,
      execute: async () => {
        if (telling) {
          return;
        }
        telling = true;
        await tellSignedOut(studio).finally(() => {
          telling = false;
        });
      }
    });
    let told = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    access.stateChanged.connect(() => {
      app.commands.notifyCommandChanged();
      clearTimeout(timer);
      if (access.team && !access.signedOut && access.me?.expires_at != null) {
        const left = Date.parse(access.me.expires_at) - Date.now();
        timer = setTimeout(() => void access.load(), Math.min(Math.max(left, 0) + AFTER_END_MS, MAX_TIMER_MS));
      }
      if (access.signedOut && !told) {
        void app.commands.execute(CommandIds.signInAgain);
      }
      told = access.signedOut;
    });
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible' && access.team) {
        void meet(studio);
      }
    });
  }
};

/** Look who is signed in now; the page of one person is never shown on to another. */
async function meet(studio: IDevStudio): Promise<void> {
  const before = studio.access.signedOut;
  if (await studio.access.load()) {
    window.location.reload();
  } else if (before && !studio.access.signedOut) {
    studio.changes.emit({ kind: 'all' });
  }
}

/** Say that the sign-in has ended until it is renewed, or the person has read it. */
async function tellSignedOut(studio: IDevStudio): Promise<void> {
  const { access, trans } = studio;
  let again = false;
  while (access.signedOut) {
    const { button } = await showDialog({
      title: again ? trans.__('You are still signed out') : trans.__('You were signed out'),
      body: trans.__(
        'Your sign-in has ended. What you typed is kept in this browser. Open DevStudio again from where you came, in another tab, then choose Try again here.'
      ),
      buttons: [Dialog.cancelButton({ label: trans.__('Close') }), Dialog.okButton({ label: trans.__('Try again') })]
    });
    if (!button.accept) {
      return;
    }
    await meet(studio);
    again = true;
  }
}

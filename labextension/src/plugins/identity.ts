import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette } from '@jupyterlab/apputils';
import type { CommandRegistry } from '@lumino/commands';

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
    const notice = new SignedOutNotice(studio);
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
        await access.load();
        notice.show(true);
      }
    });
    const look = (): void => {
      if (document.visibilityState === 'visible' && (access.team || access.me === null)) {
        void access.load();
      }
    };
    document.addEventListener('visibilitychange', look);
    window.addEventListener('focus', look);
    watch(app.commands, studio, notice);
  }
};

/** Follow who is signed in: tell the end of a sign-in, read everything anew when it is back, show nobody another's page. */
function watch(commands: CommandRegistry, { access, changes }: IDevStudio, notice: SignedOutNotice): void {
  let wasOut = false;
  let leaving = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  access.stateChanged.connect(() => {
    commands.notifyCommandChanged();
    if (access.replaced) {
      if (!leaving) {
        leaving = true;
        window.location.reload();
      }
      return;
    }
    if (access.signedOut !== wasOut) {
      wasOut = access.signedOut;
      if (wasOut) {
        notice.show();
      } else {
        notice.hide();
        changes.emit({ kind: 'all' });
      }
    }
    clearTimeout(timer);
    if (access.team && !access.signedOut && access.me?.expires_at != null) {
      const left = Date.parse(access.me.expires_at) - Date.now();
      timer = setTimeout(() => void access.load(), Math.min(Math.max(left, 0) + AFTER_END_MS, MAX_TIMER_MS));
    }
  });
}

/** The one dialog that says that the sign-in has ended. */
class SignedOutNotice {
  constructor(private readonly studio: IDevStudio) {}

  /** Show it, unless it is there or the person is signed in; `still` after they tried. */
  show(still = false): void {
    if (this.dialog === null && this.studio.access.signedOut) {
      void this.ask(still);
    }
  }

  hide(): void {
    this.dialog?.reject();
  }

  private async ask(still: boolean): Promise<void> {
    const { access, trans } = this.studio;
    this.dialog = new Dialog({
      title: still ? trans.__('You are still signed out') : trans.__('You were signed out'),
      body: trans.__(
        'Your sign-in has ended. What you typed is kept in this browser. Open DevStudio again from where you came, in another tab, then choose Try again here.'
      ),
      buttons: [Dialog.cancelButton({ label: trans.__('Close') }), Dialog.okButton({ label: trans.__('Try again') })]
    });
    const { button } = await this.dialog.launch();
    this.dialog = null;
    if (button.accept) {
      await access.load();
      this.show(true);
    }
  }

  private dialog: Dialog<unknown> | null = null;
}

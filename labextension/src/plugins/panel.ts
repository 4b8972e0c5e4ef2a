import { ILayoutRestorer, type JupyterFrontEndPlugin } from '@jupyterlab/application';

import { IDevStudio } from '../tokens';
import { StudioPanel } from '../ui/panel';

/** The left panel. */
export const panel: JupyterFrontEndPlugin<void> = {
  id: '@renum/devstudio:panel',
  description: 'Shows projects and sessions in the left side bar.',
  autoStart: true,
  requires: [IDevStudio],
  optional: [ILayoutRestorer],
  activate: (app, studio: IDevStudio, restorer: ILayoutRestorer | null) => {
    const widget = new StudioPanel(studio);
    app.shell.add(widget, 'left', { rank: 600 });
    restorer?.add(widget, widget.id);
  }
};

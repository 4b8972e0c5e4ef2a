import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { DevStudioClient, jupyterTransport } from '@renum/devstudio-api-client';

import { Changes } from '../model/changes';
import { StudioModel } from '../model/studio';
import { IDevStudio } from '../tokens';

/** Connects JupyterLab to the DevStudio API. */
export const core: JupyterFrontEndPlugin<IDevStudio> = {
  id: '@renum/devstudio:core',
  description: 'Connects JupyterLab to the DevStudio API.',
  autoStart: true,
  optional: [ITranslator],
  provides: IDevStudio,
  activate: (app, translator: ITranslator | null) => {
    const client = new DevStudioClient(jupyterTransport(app.serviceManager.serverSettings));
    const changes = new Changes();
    return {
      client,
      changes,
      model: new StudioModel(client, changes),
      commands: app.commands,
      trans: (translator ?? nullTranslator).load('devstudio')
    };
  }
};

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { DevStudioClient, jupyterTransport } from '@renum/devstudio-api-client';

import { Access } from '../model/access';
import { Changes } from '../model/changes';
import { StudioModel } from '../model/studio';
import { IDevStudio } from '../tokens';
import { localeOf } from '../ui/format';

/** Connects JupyterLab to the DevStudio API. */
export const core: JupyterFrontEndPlugin<IDevStudio> = {
  id: '@renum/devstudio:core',
  description: 'Connects JupyterLab to the DevStudio API.',
  autoStart: true,
  optional: [ITranslator],
  provides: IDevStudio,
  activate: (app, translator: ITranslator | null) => {
    const transport = jupyterTransport(app.serviceManager.serverSettings);
    const client = new DevStudioClient({
      baseUrl: transport.baseUrl,
      fetch: async request => {
        const response = await transport.fetch(request);
        access.answered(response.status);
        return response;
      }
    });
    const access = new Access(client);
    const changes = new Changes();
    void access.ready; // asked for at once: what people may do decides how everything looks
    return {
      client,
      access,
      changes,
      model: new StudioModel(client, changes),
      commands: app.commands,
      trans: (translator ?? nullTranslator).load('devstudio'),
      locale: translator === null ? undefined : localeOf(translator.languageCode)
    };
  }
};

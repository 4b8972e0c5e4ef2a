import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

const plugin: JupyterFrontEndPlugin<void> = {
  id: '@renum/devstudio:core',
  description: 'Connects JupyterLab to the DevStudio API.',
  autoStart: true,
  activate: () => undefined
};

export default [plugin];

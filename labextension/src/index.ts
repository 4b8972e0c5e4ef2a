import { commands } from './plugins/commands';
import { core } from './plugins/core';
import { launcher } from './plugins/launcher';
import { notebook } from './plugins/notebook';
import { panel } from './plugins/panel';

export { IDevStudio } from './tokens';

export default [core, panel, commands, launcher, notebook];

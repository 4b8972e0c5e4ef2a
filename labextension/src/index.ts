import { commands } from './plugins/commands';
import { core } from './plugins/core';
import { identity } from './plugins/identity';
import { launcher } from './plugins/launcher';
import { live } from './plugins/live';
import { notebook } from './plugins/notebook';
import { panel } from './plugins/panel';

export { IDevStudio } from './tokens';

export default [core, identity, panel, commands, launcher, notebook, live];

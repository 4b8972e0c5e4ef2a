import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { CommandIds, type IDevStudio } from '../tokens';
import { askAgentSettings } from '../ui/agent-settings';
import type { Views } from '../views';
import type { Arguments } from './arguments';

type Args = ReadonlyPartialJSONObject;

/** The commands about models: how they are used in a project, and what that costs. */
export function aiCommands(studio: IDevStudio, views: Views, found: Arguments): Record<string, CommandRegistry.ICommandOptions> {
  const { trans } = studio;
  return {
    [CommandIds.openCosts]: {
      label: trans.__('AI Cost'),
      caption: trans.__('What models cost this month, and the budget'),
      execute: () => views.openCosts()
    },
    [CommandIds.aiSettings]: {
      label: trans.__('AI Settings of a Project'),
      caption: trans.__('Choose the model of a project and its limits'),
      execute: async (args: Args) => {
        const id = await found.projectId(args);
        return id === null ? null : askAgentSettings(studio, id);
      }
    }
  };
}

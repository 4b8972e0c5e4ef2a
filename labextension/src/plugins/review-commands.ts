import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { patchIcon } from '../icons';
import { CommandIds, type IDevStudio } from '../tokens';
import { askPatchUpload } from '../ui/patch-upload';
import { askReviewPolicy } from '../ui/review-policy';
import { saveBlob } from '../ui/run-log';
import type { Views } from '../views';
import type { Arguments } from './arguments';

type Args = ReadonlyPartialJSONObject;

/** The commands around reviews: patches from elsewhere, what a project asks of its reviews, and evidence to take along. */
export function reviewCommands(
  studio: IDevStudio,
  views: Views,
  found: Arguments
): Record<string, CommandRegistry.ICommandOptions> {
  const { trans, client } = studio;
  return {
    [CommandIds.uploadPatch]: {
      label: trans.__('Upload Patch…'),
      caption: trans.__('Hand in a patch that was made elsewhere, for a task'),
      icon: patchIcon,
      execute: async (args: Args) => {
        const sessionId = await found.sessionId(args);
        const taskId = sessionId === null ? null : await found.taskId(args, sessionId);
        const patch = taskId === null ? null : await askPatchUpload(studio, taskId);
        return patch === null ? null : views.openPatch(patch.id);
      }
    },
    [CommandIds.reviewPolicy]: {
      label: trans.__('Review Policy of a Project'),
      caption: trans.__('Which branches are protected, how many approvals they need, and whose count'),
      execute: async (args: Args) => {
        const id = await found.projectId(args);
        return id === null ? null : askReviewPolicy(studio, id);
      }
    },
    [CommandIds.exportEvidence]: {
      label: trans.__('Export Evidence'),
      caption: trans.__('Download what proves a session or a task, to verify it anywhere'),
      execute: async (args: Args) => {
        const { taskId } = args;
        const sessionId = typeof taskId === 'string' ? null : await found.sessionId(args);
        if (typeof taskId === 'string') {
          const { key } = await client.task(taskId);
          saveBlob(await client.review.bundle({ task_id: taskId }), `evidence-task-${key}.tar`);
        } else if (sessionId !== null) {
          const { title } = await client.session(sessionId);
          saveBlob(await client.review.bundle({ session_id: sessionId }), `evidence-${title}.tar`);
        }
        return null;
      }
    }
  };
}

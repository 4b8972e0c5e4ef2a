import type { Patch } from '@renum/devstudio-api-client';

import type { IDevStudio } from '../tokens';
import { openForm } from './form';

/** The most that the server takes of a patch. */
const MOST_BYTES = 8 * 1024 * 1024;

/** Ask for a patch that was made elsewhere and hand it in for a task; null when cancelled. */
export async function askPatchUpload(studio: IDevStudio, taskId: string): Promise<Patch | null> {
  const { trans, client, changes } = studio;
  const task = await client.task(taskId);
  const patch = await openForm(studio, {
    title: trans.__('Upload a patch for task %1', task.key),
    submitLabel: trans.__('Upload'),
    fields: [
      {
        name: 'diff',
        label: trans.__('Patch'),
        kind: 'textarea',
        required: true,
        fileUpTo: MOST_BYTES,
        hint: trans.__('A unified diff, as git diff writes it. Paste it, or choose a file.')
      },
      { name: 'summary', label: trans.__('Summary (optional)'), kind: 'text', maxLength: 500 },
      {
        name: 'branch',
        label: trans.__('For branch (optional)'),
        kind: 'text',
        maxLength: 100,
        hint: trans.__('Empty: the project’s default branch.')
      }
    ],
    submit: ({ diff = '', summary = '', branch = '' }) =>
      client.review.upload({
        task_id: taskId,
        diff: diff.endsWith('\n') ? diff : `${diff}\n`, // what is pasted often lacks the last one
        ...(summary.trim() === '' ? {} : { summary: summary.trim() }),
        ...(branch.trim() === '' ? {} : { branch: branch.trim() })
      })
  });
  if (patch !== null) {
    changes.emit({ kind: 'task', taskId });
  }
  return patch;
}

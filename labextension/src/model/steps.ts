import type { Patch, Run, RunStatus, Task } from '@renum/devstudio-api-client';

/** The one thing that takes a task further. */
export type Step = 'generate' | 'review' | 'apply' | 'watch' | 'view-run' | 'regenerate';

/** Whether nothing about a run will change any more. */
export function isFinal(status: RunStatus): boolean {
  return status !== 'pending' && status !== 'running';
}

/** Say which step comes next for a task, from its newest patch and that patch's newest run. */
export function nextStep(task: Task, patch: Patch | null, run: Run | null): Step {
  if (task.status === 'done') {
    return 'view-run';
  }
  if (patch === null) {
    return 'generate';
  }
  if (patch.status === 'rejected') {
    return 'regenerate';
  }
  if (patch.status === 'pending') {
    return 'review';
  }
  if (run !== null && !isFinal(run.status)) {
    return 'watch';
  }
  if (patch.status === 'applied') {
    return 'regenerate'; // it is in, but does not prove every criterion
  }
  return run === null || run.status === 'cancelled' ? 'apply' : 'regenerate';
}

/** The run that a task's button opens: the evidence first, else the newest of its patch. */
export function runIdOf(task: Task, patch: Patch | null): string | null {
  return task.evidence?.run_id ?? patch?.run_id ?? null;
}

/** How many of the tasks are done. */
export function countDone(tasks: readonly Task[]): number {
  return tasks.filter(task => task.status === 'done').length;
}

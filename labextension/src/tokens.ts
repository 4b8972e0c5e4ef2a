import type { DevStudioClient } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { Token } from '@lumino/coreutils';

import type { Access } from './model/access';
import type { Changes } from './model/changes';
import type { StudioModel } from './model/studio';

/** What every part of DevStudio in JupyterLab shares. */
export interface IDevStudio {
  readonly client: DevStudioClient;
  readonly access: Access;
  readonly changes: Changes;
  readonly model: StudioModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
  /** The language that numbers and dates are written in; undefined for the browser's own. */
  readonly locale: string | undefined;
}

export const IDevStudio = new Token<IDevStudio>(
  '@renum/devstudio:IDevStudio',
  'The DevStudio API client, the projects and sessions that are loaded, and the signal of changes.'
);

/** The ids of the commands; those of the seed keep their names. */
export const CommandIds = {
  showPanel: 'renum.devstudio.showPanel',
  newProject: 'renum.devstudio.newProject',
  newSession: 'renum.devstudio.startSpecSession',
  openSession: 'renum.devstudio.openSession',
  openNotebook: 'renum.devstudio.openNotebook',
  plan: 'renum.devstudio.plan',
  showTasks: 'renum.devstudio.showTasks',
  saveDocument: 'renum.devstudio.saveDocument',
  generateCode: 'renum.devstudio.generateCode',
  reviewPatch: 'renum.devstudio.reviewPatch',
  approvePatch: 'renum.devstudio.approvePatch',
  applyPatch: 'renum.devstudio.applyPatch',
  uploadPatch: 'renum.devstudio.uploadPatch',
  reviewPolicy: 'renum.devstudio.reviewPolicy',
  exportEvidence: 'renum.devstudio.exportEvidence',
  openRuns: 'renum.devstudio.openRuns',
  runTests: 'renum.devstudio.runTests',
  runBuild: 'renum.devstudio.runBuild',
  runCommand: 'renum.devstudio.runCommand',
  openFileAt: 'renum.devstudio.openFileAt',
  requestLease: 'renum.devstudio.requestLease',
  openCosts: 'renum.devstudio.openCosts',
  aiSettings: 'renum.devstudio.aiSettings',
  openRunLogs: 'renum.devstudio.openRunLogs',
  refresh: 'renum.devstudio.refresh',
  signOut: 'renum.devstudio.signOut',
  signInAgain: 'renum.devstudio.signInAgain'
} as const;

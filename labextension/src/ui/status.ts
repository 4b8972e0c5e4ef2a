import type { TranslationBundle } from '@jupyterlab/translation';
import type { DocumentType, Lease, PatchStatus, Run, RunStatus, Session, TaskStatus } from '@renum/devstudio-api-client';

export function documentName(kind: DocumentType, trans: TranslationBundle): string {
  const names = {
    requirements: trans.__('Requirements'),
    design: trans.__('Design'),
    tasks: trans.__('Tasks')
  };
  return names[kind];
}

/** Where a document stands. */
type DocumentStatus = NonNullable<Session['documents']['design']['status']>;

export function documentStatusName(status: DocumentStatus, trans: TranslationBundle): string {
  const names = {
    draft: trans.__('Draft'),
    approved: trans.__('Approved'),
    suspect: trans.__('Suspect')
  };
  return names[status];
}

export function taskStatusName(status: TaskStatus, trans: TranslationBundle): string {
  const names = {
    todo: trans.__('To do'),
    in_progress: trans.__('In progress'),
    review: trans.__('Review'),
    done: trans.__('Done')
  };
  return names[status];
}

export function patchStatusName(status: PatchStatus, trans: TranslationBundle): string {
  const names = {
    pending: trans.__('Waiting for review'),
    approved: trans.__('Approved'),
    rejected: trans.__('Rejected'),
    applied: trans.__('Applied')
  };
  return names[status];
}

export function runStatusName(status: RunStatus, trans: TranslationBundle): string {
  const names = {
    pending: trans.__('waiting'),
    running: trans.__('running'),
    success: trans.__('passed'),
    failed: trans.__('failed'),
    cancelled: trans.__('cancelled'),
    timeout: trans.__('timed out')
  };
  return names[status];
}

export function runTypeName(type: Run['type'], trans: TranslationBundle): string {
  const names = {
    gen: trans.__('Patch'),
    test: trans.__('Tests'),
    build: trans.__('Build'),
    deploy: trans.__('Deployment')
  };
  return names[type];
}

export function leaseStatusName(status: Lease['status'], trans: TranslationBundle): string {
  const names = {
    requested: trans.__('asked for'),
    approved: trans.__('approved'),
    denied: trans.__('denied'),
    revoked: trans.__('revoked'),
    expired: trans.__('expired')
  };
  return names[status];
}

import type { Patch, PatchRevision } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { PatchModel } from '../model/patch';
import { Button, Hash } from './common';
import { useStudio } from './context';

function reasonName(revision: PatchRevision, trans: TranslationBundle): string {
  const names: Record<PatchRevision['reason'], string> = {
    created: trans.__('made'),
    edited: trans.__('edited'),
    rebased: trans.__('rebased'),
    retargeted: trans.__('given another branch')
  };
  return names[revision.reason];
}

/** What the patch was before, the newest first; loaded when somebody asks. */
export function Revisions({ model, patch }: { model: PatchModel; patch: Patch }): React.JSX.Element {
  const { trans, locale } = useStudio();
  const { revisions } = model;
  return (
    <section aria-label={trans.__('Revisions')}>
      <Button
        label={revisions === null ? trans._n('%1 revision', '%1 revisions', patch.revision) : trans.__('Hide revisions')}
        testid="patch-revisions-toggle"
        onClick={() => void model.toggleRevisions()}
      />
      {revisions !== null && (
        <ol className="devstudio-History" data-testid="patch-revisions">
          {[...revisions]
            .sort((one, other) => other.number - one.number)
            .map(revision => (
              <li key={revision.number}>
                {trans.__('%1: %2 by %3', revision.number, reasonName(revision, trans), revision.author_name)}{' '}
                <Hash value={revision.digest} label={trans.__('digest')} />
                <div className="devstudio-Faint">{new Date(revision.created_at).toLocaleString(locale)}</div>
              </li>
            ))}
        </ol>
      )}
    </section>
  );
}

import type { FileComparison } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { PatchModel } from '../model/patch';
import { lineEndOf } from '../model/patch-edits';
import type { DiffLayout } from '../model/review-marks';
import { Button } from './common';
import { useStudio } from './context';
import { changeName } from './patch-files';
import { useMissing } from './permission';

interface IProps {
  model: PatchModel;
  file: FileComparison;
  onViewed: () => void;
}

/** What the file above is, whether it was seen, and how its changes are laid out. */
export function PatchBar({ model, file, onViewed }: IProps): React.JSX.Element {
  const { trans } = useStudio();
  const layouts: readonly [DiffLayout, string][] = [
    ['split', trans.__('Side by side')],
    ['unified', trans.__('Unified')]
  ];
  return (
    <header className="devstudio-PatchBar devstudio-Row">
      <span className="devstudio-FilePath" data-testid="diff-path">
        {file.path}
      </span>
      <span className="devstudio-Faint">{changeName(file, trans)}</span>
      {file.old_mode != null && file.new_mode != null && file.old_mode !== file.new_mode && (
        <span className="devstudio-Faint" data-testid="diff-mode">
          {modeChange(file.old_mode, file.new_mode, trans)}
        </span>
      )}
      <span className="devstudio-Fill" />
      <label className="devstudio-Toggle">
        <input
          type="checkbox"
          data-testid="diff-viewed"
          checked={model.isViewed(file)}
          onChange={() => {
            onViewed();
          }}
        />
        {trans.__('Viewed')}
      </label>
      <EditButton model={model} file={file} />
      <span role="group" aria-label={trans.__('Layout of the changes')} className="devstudio-Segments">
        {layouts.map(([layout, label]) => (
          <button
            key={layout}
            type="button"
            data-testid={`diff-${layout}`}
            aria-pressed={model.layout === layout}
            onClick={() => {
              model.setLayout(layout);
            }}
          >
            {label}
          </button>
        ))}
      </span>
    </header>
  );
}

/** What a change of a file's mode means. */
function modeChange(before: string, after: string, trans: TranslationBundle): string {
  if (after.endsWith('755') && before.endsWith('644')) {
    return trans.__('becomes executable (%1 → %2)', before, after);
  }
  if (after.endsWith('644') && before.endsWith('755')) {
    return trans.__('is executable no more (%1 → %2)', before, after);
  }
  return trans.__('mode %1 → %2', before, after);
}

/** Lets a person type into the new side; why not, where that is not possible. */
function EditButton({ model, file }: { model: PatchModel; file: FileComparison }): React.JSX.Element | null {
  const { trans } = useStudio();
  const missing = useMissing();
  if (!model.isOpen) {
    return null;
  }
  if (model.edits.isOpen(file.path)) {
    const changed = model.edits.all.has(file.path);
    return (
      <Button
        label={changed ? trans.__('Discard my text') : trans.__('Stop editing')}
        testid="diff-discard"
        onClick={() => {
          model.discardEdits(file.path);
        }}
      />
    );
  }
  const impossible =
    file.binary || file.new === null
      ? trans.__('There is no text to edit')
      : lineEndOf(file.new) === null
        ? trans.__('Its lines end in several ways, which an editor would change')
        : null;
  return (
    <Button
      label={trans.__('Edit')}
      title={trans.__('Change the new side; saving it makes every approval void')}
      testid="diff-edit"
      blocked={impossible ?? missing('editPatch')}
      onClick={() => {
        model.startEdit(file);
      }}
    />
  );
}

/** What waits to be saved, and what a save did. */
export function EditsBar({ model }: { model: PatchModel }): React.JSX.Element | null {
  const { trans } = useStudio();
  const { edits, preview } = model;
  if (edits.isEmpty || preview === null) {
    return model.done === 'saved' ? (
      <p className="devstudio-Note" role="status" data-testid="edits-saved">
        {trans.__('Saved as a new revision. Earlier approvals are void; you count as one who changed it.')}
      </p>
    ) : null;
  }
  const stale = edits.stale(preview.digest);
  const paths = [...edits.all.keys()].join(', ');
  return (
    <div className="devstudio-Note devstudio-Row" data-testid="edits-bar">
      <span className="devstudio-Fill">
        {stale.length > 0
          ? trans.__('The patch was changed while you typed into %1. Your text is kept.', paths)
          : trans.__('Not saved yet: %1. Saving makes a new revision, and approvals are void then.', paths)}
      </span>
      {stale.length > 0 ? (
        <Button
          label={trans.__('Go on with my text')}
          testid="edits-keep"
          onClick={() => {
            model.keepEdits();
          }}
        />
      ) : (
        <Button
          kind="primary"
          label={trans.__('Save revision')}
          testid="edits-save"
          blocked={model.busy ? trans.__('Working…') : null}
          onClick={() => void model.saveEdits()}
        />
      )}
      <Button
        label={trans.__('Discard')}
        testid="edits-discard"
        onClick={() => {
          model.discardEdits();
        }}
      />
    </div>
  );
}

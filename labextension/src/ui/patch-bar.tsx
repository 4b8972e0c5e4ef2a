import type { FileComparison } from '@renum/devstudio-api-client';
import * as React from 'react';

import type { PatchModel } from '../model/patch';
import type { DiffLayout } from '../model/review-marks';
import { useStudio } from './context';
import { changeName } from './patch-files';

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

import type { FileComparison } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { PatchModel } from '../model/patch';
import { useStudio } from './context';
import { formatSize } from './format';

interface IFilesProps {
  model: PatchModel;
  files: readonly FileComparison[];
  index: number;
  onSelect: (index: number) => void;
}

/** The files of a patch: what happens to each, and which the person has seen. */
export function FileList({ model, files, index, onSelect }: IFilesProps): React.JSX.Element {
  const { trans } = useStudio();
  const viewed = files.filter(file => model.isViewed(file)).length;
  return (
    <nav className="devstudio-Files" aria-label={trans.__('Files')}>
      <h3>{trans._n('%1 file', '%1 files', files.length)}</h3>
      <p className="devstudio-Faint" role="status" data-testid="patch-viewed-count">
        {trans.__('%1 of %2 viewed', viewed, files.length)}
      </p>
      <ul>
        {files.map((file, at) => (
          <li key={file.path}>
            <button
              type="button"
              data-testid="patch-file"
              data-path={file.path}
              data-viewed={model.isViewed(file)}
              aria-current={at === index}
              title={file.path}
              onClick={() => {
                onSelect(at);
              }}
            >
              <span className="devstudio-FilePath">
                {file.path}
                {model.edits.all.has(file.path) && (
                  <span className="devstudio-Dirty" title={trans.__('Changed by you, not saved')}>
                    {' '}
                    ●<span className="devstudio-Unseen"> {trans.__('not saved')}</span>
                  </span>
                )}
              </span>
              <FileFacts model={model} file={file} />
            </button>
          </li>
        ))}
      </ul>
      <ul className="devstudio-Faint devstudio-Keys" aria-label={trans.__('Keys')}>
        <li>
          <kbd>]</kbd> <kbd>[</kbd> {trans.__('next and previous change')}
        </li>
        <li>
          <kbd>v</kbd> {trans.__('viewed, on to the next')}
        </li>
        <li>
          <kbd>Ctrl+Enter</kbd> {trans.__('approve')}
        </li>
      </ul>
    </nav>
  );
}

function FileFacts({ model, file }: { model: PatchModel; file: FileComparison }): React.JSX.Element {
  const { trans } = useStudio();
  return (
    <span className="devstudio-Faint">
      {changeName(file, trans)}{' '}
      {file.binary ? (
        trans.__('binary')
      ) : (
        <>
          <span className="devstudio-Added">+{file.additions}</span>{' '}
          <span className="devstudio-Removed">−{file.deletions}</span>
        </>
      )}
      {file.old_mode !== file.new_mode && file.old_mode != null && file.new_mode != null && (
        <> · {trans.__('mode')}</>
      )}
      {model.isViewed(file) && <span className="devstudio-Viewed"> ✓ {trans.__('viewed')}</span>}
    </span>
  );
}

export function changeName(file: FileComparison, trans: TranslationBundle): string {
  const kinds = { create: trans.__('new'), update: trans.__('changed'), delete: trans.__('deleted') };
  return kinds[file.change];
}

/** Stands where the bytes of a file would be that are no text. */
export function BinaryNote({ file }: { file: FileComparison }): React.JSX.Element {
  const { trans } = useStudio();
  return (
    <div className="devstudio-Empty" data-testid="diff-binary">
      <p>{trans.__('A binary file; its bytes are covered by the digest but not shown.')}</p>
      {(file.old_size ?? file.new_size) != null && (
        <p>
          {trans.__(
            '%1 before, %2 after',
            file.old_size == null ? trans.__('no file') : formatSize(file.old_size),
            file.new_size == null ? trans.__('no file') : formatSize(file.new_size)
          )}
        </p>
      )}
    </div>
  );
}

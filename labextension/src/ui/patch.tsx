import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { FileComparison } from '@renum/devstudio-api-client';
import * as React from 'react';

import { patchIcon } from '../icons';
import type { PatchModel } from '../model/patch';
import type { IDevStudio } from '../tokens';
import { Empty, ErrorBox, Spinner } from './common';
import { useStudio } from './context';
import { FileDiff, type IDiffHandle } from './diff';
import { PatchRail } from './patch-rail';
import { StudioView } from './view';

/** A patch under review in the main area. */
export class PatchView extends StudioView<PatchModel> {
  constructor(
    studio: IDevStudio,
    model: PatchModel,
    private readonly languages: IEditorLanguageRegistry
  ) {
    super(studio, model, {
      id: `devstudio-patch-${model.id}`,
      icon: patchIcon,
      label: studio.trans.__('Patch'),
      className: 'devstudio-Patch'
    });
    model.stateChanged.connect(() => {
      if (model.patch !== null) {
        this.title.label =
          model.task === null ? studio.trans.__('Patch') : studio.trans.__('Patch for task %1', model.task.key);
        this.title.caption = model.patch.summary;
      }
    }, this);
  }

  protected override onActivateRequest(): void {
    if (!this.node.contains(document.activeElement)) {
      (this.node.querySelector<HTMLElement>('.devstudio-PatchBody') ?? this.node).focus();
    }
  }

  protected override body(): React.JSX.Element {
    return <PatchBody model={this.model} languages={this.languages} />;
  }
}


function PatchBody({ model, languages }: { model: PatchModel; languages: IEditorLanguageRegistry }): React.JSX.Element {
  const { trans } = useStudio();
  const [index, setIndex] = React.useState(0);
  const diff = React.useRef<IDiffHandle>(null);
  const takeFocus = React.useCallback((body: HTMLElement | null) => {
    if (body !== null && body.parentElement === document.activeElement) {
      body.focus(); // the view was activated before its patch had come; now its keys work
    }
  }, []);
  const { patch, preview } = model;
  if (patch === null || preview === null) {
    return (
      <div className="devstudio-Loading" data-testid="patch-view">
        {model.error === null ? <Spinner /> : <ErrorBox error={model.error} onRetry={() => void model.refresh()} />}
      </div>
    );
  }
  const file = preview.files[Math.min(index, preview.files.length - 1)];
  const move = (by: 1 | -1): void => {
    if (diff.current?.move(by) !== true) {
      setIndex(Math.min(Math.max(index + by, 0), preview.files.length - 1));
    }
  };
  return (
    <div
      ref={takeFocus}
      tabIndex={-1}
      className="devstudio-PatchBody"
      data-testid="patch-view"
      data-patch-id={model.id}
      onKeyDown={event => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          void model.approve();
        } else if ((event.key === ']' || event.key === '[') && !isTyping(event.target)) {
          event.preventDefault();
          move(event.key === ']' ? 1 : -1);
        }
      }}
    >
      <FileList files={preview.files} index={index} onSelect={setIndex} />
      <section className="devstudio-Diff" data-testid="patch-diff" aria-label={trans.__('Changes')}>
        {file === undefined ? (
          <Empty text={trans.__('This patch changes no file.')} />
        ) : (
          <FileDiff key={file.path} ref={diff} file={file} languages={languages} />
        )}
      </section>
      <PatchRail model={model} patch={patch} preview={preview} />
    </div>
  );
}

/** Keys of a form stay with the form. */
function isTyping(target: EventTarget): boolean {
  return target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
}

interface IFilesProps {
  files: readonly FileComparison[];
  index: number;
  onSelect: (index: number) => void;
}

function FileList({ files, index, onSelect }: IFilesProps): React.JSX.Element {
  const { trans } = useStudio();
  const kinds = { create: trans.__('new'), update: trans.__('changed'), delete: trans.__('deleted') };
  return (
    <nav className="devstudio-Files" aria-label={trans.__('Files')}>
      <h3>{trans._n('%1 file', '%1 files', files.length)}</h3>
      <ul>
        {files.map((file, at) => (
          <li key={file.path}>
            <button
              type="button"
              data-testid="patch-file"
              data-path={file.path}
              aria-current={at === index}
              title={file.path}
              onClick={() => {
                onSelect(at);
              }}
            >
              <span className="devstudio-FilePath">{file.path}</span>
              <span className="devstudio-Faint">
                {kinds[file.change]} <span className="devstudio-Added">+{file.additions}</span>{' '}
                <span className="devstudio-Removed">−{file.deletions}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
      <p className="devstudio-Faint">{trans.__('] and [ go to the next and previous change')}</p>
    </nav>
  );
}

import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { FileComparison } from '@renum/devstudio-api-client';
import * as React from 'react';

import { patchIcon } from '../icons';
import type { PatchModel } from '../model/patch';
import type { IDevStudio } from '../tokens';
import { Empty, ErrorBox, Spinner } from './common';
import { useStudio } from './context';
import { FileDiff, type IDiffHandle } from './diff';
import { EditsBar, PatchBar } from './patch-bar';
import { BinaryNote, FileList } from './patch-files';
import { PatchRail } from './patch-rail';
import { Conflicts } from './patch-rebase';
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
    void this.model.refresh(); // the branch moves without a word from anyone
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
  const { files } = preview;
  const file = files[Math.min(index, files.length - 1)];
  const move = (by: 1 | -1): void => {
    if (diff.current?.move(by) !== true) {
      setIndex(Math.min(Math.max(index + by, 0), files.length - 1));
    }
  };
  const keys: Partial<Record<string, () => void>> = {
    ']': () => {
      move(1);
    },
    '[': () => {
      move(-1);
    },
    v: () => {
      toggleViewed(true);
    }
  };
  const toggleViewed = (goOn: boolean): void => {
    if (file === undefined) {
      return;
    }
    const viewed = !model.isViewed(file);
    model.setViewed(file, viewed);
    const next = [...files.keys()].map(step => (index + 1 + step) % files.length).find(at => isLeft(model, files[at]));
    if (viewed && goOn && next !== undefined) {
      setIndex(next);
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
        } else if (event.key === 's' && (event.ctrlKey || event.metaKey) && !model.edits.isEmpty) {
          event.preventDefault();
          event.stopPropagation();
          void model.saveEdits();
        } else if (!isTyping(event.target) && !event.ctrlKey && !event.metaKey && !event.altKey) {
          const deed = keys[event.key];
          if (deed !== undefined) {
            event.preventDefault();
            deed();
          }
        }
      }}
    >
      <FileList model={model} files={files} index={index} onSelect={setIndex} />
      <section className="devstudio-Diff" data-testid="patch-diff" aria-label={trans.__('Changes')}>
        <EditsBar model={model} />
        {model.conflicts.length > 0 ? (
          <Conflicts model={model} />
        ) : file === undefined ? (
          <Empty text={trans.__('This patch changes no file.')} />
        ) : (
          <>
            <PatchBar
              model={model}
              file={file}
              onViewed={() => {
                toggleViewed(false);
              }}
            />
            {file.binary ? (
              <BinaryNote file={file} />
            ) : (
              <FileDiff
                key={file.path}
                ref={diff}
                file={file}
                text={model.edits.textOf(file)}
                layout={model.layout}
                languages={languages}
                onEdit={
                  model.isOpen && model.edits.isOpen(file.path)
                    ? text => {
                        model.type(file, text);
                      }
                    : null
                }
              />
            )}
          </>
        )}
      </section>
      <PatchRail model={model} patch={patch} preview={preview} />
    </div>
  );
}

function isLeft(model: PatchModel, file: FileComparison | undefined): boolean {
  return file !== undefined && !model.isViewed(file);
}

/** Keys of a form, and of a text that is edited, stay there; a box to tick types nothing. */
function isTyping(target: EventTarget): boolean {
  return (
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && target.type !== 'checkbox') ||
    (target instanceof HTMLElement && target.isContentEditable)
  );
}

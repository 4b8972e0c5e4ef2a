import { MergeView } from '@codemirror/merge';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { jupyterTheme, type IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { FileComparison } from '@renum/devstudio-api-client';
import * as React from 'react';

import { useStudio } from './context';

/** Lets the keyboard walk through the changes of the file that is shown. */
export interface IDiffHandle {
  /** Scroll to the next (1) or previous (-1) change; false when there is none left in this file. */
  move: (by: 1 | -1) => boolean;
}

interface IProps {
  file: FileComparison;
  languages: IEditorLanguageRegistry;
}

/** Both sides of a file: old on the left, new on the right, read-only. */
export const FileDiff = React.forwardRef<IDiffHandle, IProps>(function FileDiff({ file, languages }, ref) {
  const { trans } = useStudio();
  const host = React.useRef<HTMLDivElement>(null);
  const merge = React.useRef<MergeView | null>(null);
  const at = React.useRef(-1);

  React.useEffect(() => {
    let gone = false;
    const show = async (): Promise<void> => {
      const language = await languageOf(file.path, languages);
      if (gone || host.current === null) {
        return;
      }
      at.current = -1;
      merge.current = new MergeView({
        a: { doc: file.old ?? '', extensions: sideExtensions(trans.__('Before'), language) },
        b: { doc: file.new ?? '', extensions: sideExtensions(trans.__('After'), language) },
        parent: host.current,
        gutter: true,
        highlightChanges: file.change === 'update', // within a line; a whole new file needs no marks in its lines
        collapseUnchanged: { margin: 3, minSize: 6 }
      });
    };
    void show();
    return () => {
      gone = true;
      merge.current?.destroy();
      merge.current = null;
    };
  }, [file, languages, trans]);

  React.useImperativeHandle(ref, () => ({
    move: by => {
      const view = merge.current;
      const chunk = view?.chunks[at.current + by];
      if (view === null || chunk === undefined) {
        return false;
      }
      at.current += by;
      view.b.dispatch({ effects: EditorView.scrollIntoView(Math.min(chunk.fromB, view.b.state.doc.length), { y: 'center' }) });
      return true;
    }
  }));

  if (file.binary === true) {
    return <p className="devstudio-Empty">{trans.__('A binary file; its bytes are covered by the digest but not shown.')}</p>;
  }
  return (
    <div className={`devstudio-DiffBody devstudio-mod-${file.change}`}>
      {file.change === 'update' && (
        <div className="devstudio-DiffSides">
          <span>{trans.__('Before')}</span>
          <span>{trans.__('After')}</span>
        </div>
      )}
      <div className="devstudio-DiffEditors">
        {file.change === 'create' && <NoSide title={trans.__('New file')} text={trans.__('There was nothing here before.')} />}
        <div ref={host} className="devstudio-Merge" />
        {file.change === 'delete' && <NoSide title={trans.__('Deleted')} text={trans.__('This file will be gone.')} />}
      </div>
    </div>
  );
});

/** Stands where a side would be that does not exist. */
function NoSide(props: { title: string; text: string }): React.JSX.Element {
  return (
    <div className="devstudio-NoSide" data-testid="diff-no-side">
      <strong>{props.title}</strong>
      <span>{props.text}</span>
    </div>
  );
}

function sideExtensions(label: string, language: Extension): Extension[] {
  return [
    lineNumbers(),
    EditorState.readOnly.of(true),
    EditorView.editable.of(false),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0' }),
    jupyterTheme,
    language
  ];
}

/** The host's language for a file's name; plain text when it has none. */
async function languageOf(path: string, languages: IEditorLanguageRegistry): Promise<Extension> {
  const spec = languages.findByFileName(path.split('/').at(-1) ?? path);
  const loaded = spec === null ? null : await languages.getLanguage(spec).catch(() => null);
  return loaded?.support ?? [];
}

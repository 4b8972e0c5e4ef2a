import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { getChunks, MergeView, unifiedMergeView } from '@codemirror/merge';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, keymap, lineNumbers } from '@codemirror/view';
import { jupyterTheme, type IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { FileComparison } from '@renum/devstudio-api-client';
import * as React from 'react';

import { lineEndOf } from '../model/patch-edits';
import type { DiffLayout } from '../model/review-marks';
import { useStudio } from './context';

/** Lets the keyboard walk through the changes of the file that is shown. */
export interface IDiffHandle {
  /** Scroll to the next (1) or previous (-1) change; false when there is none left in this file. */
  move: (by: 1 | -1) => boolean;
}

interface IProps {
  file: FileComparison;
  /** The new side as it is shown: the file's, or what the person typed. */
  text: string;
  layout: DiffLayout;
  languages: IEditorLanguageRegistry;
  /** Hears what the person types into the new side; without it, nobody types. */
  onEdit: ((text: string) => void) | null;
}

/** Both sides of a file, or the old lines above the new ones. */
export const FileDiff = React.forwardRef<IDiffHandle, IProps>(function FileDiff(props, ref) {
  const { trans } = useStudio();
  const { file, layout, languages, text } = props;
  const host = React.useRef<HTMLDivElement>(null);
  const view = React.useRef<EditorView | null>(null);
  const at = React.useRef(-1);
  const [place, setPlace] = React.useState<[number, number] | null>(null);
  const editing = props.onEdit !== null;
  const latest = React.useRef(props);
  React.useEffect(() => {
    latest.current = props;
  });

  React.useEffect(() => {
    let gone = false;
    let close = (): void => undefined;
    const show = async (): Promise<void> => {
      const language = await languageOf(file.path, languages);
      if (gone || host.current === null) {
        return;
      }
      at.current = -1;
      setPlace(null);
      const hear = EditorView.updateListener.of(update => {
        if (update.docChanged) {
          latest.current.onEdit?.(update.state.sliceDoc());
        }
      });
      const ends = editing ? EditorState.lineSeparator.of(lineEndOf(latest.current.text) ?? '\n') : [];
      const after = {
        doc: latest.current.text,
        extensions: [sideExtensions(trans.__('After'), language, editing), hear, ends]
      };
      const shared = {
        gutter: true,
        highlightChanges: file.change === 'update', // within a line; a whole new file needs no marks in its lines
        collapseUnchanged: { margin: 3, minSize: 6 }
      };
      if (layout === 'unified') {
        const unified = unifiedMergeView({ ...shared, original: file.old ?? '', mergeControls: false });
        view.current = new EditorView({ ...after, extensions: [after.extensions, unified], parent: host.current });
        close = () => view.current?.destroy();
      } else {
        const before = { doc: file.old ?? '', extensions: sideExtensions(trans.__('Before'), language, false) };
        const merge = new MergeView({ ...shared, a: before, b: after, parent: host.current });
        view.current = merge.b;
        close = () => {
          merge.destroy();
        };
      }
      if (editing) {
        view.current.focus();
      }
    };
    void show();
    return () => {
      gone = true;
      close();
      view.current = null;
    };
  }, [file, layout, editing, languages, trans]);

  React.useEffect(() => {
    const shown = view.current;
    if (shown !== null && editing && shown.state.sliceDoc() !== text) {
      shown.dispatch({ changes: { from: 0, to: shown.state.doc.length, insert: shown.state.toText(text) } }); // discarded, or saved by somebody
    }
  }, [text, editing]);

  React.useImperativeHandle(ref, () => ({
    move: by => {
      const shown = view.current;
      const chunks = shown === null ? [] : (getChunks(shown.state)?.chunks ?? []);
      const next = Math.min(at.current, chunks.length) + by;
      const chunk = chunks[next];
      if (shown === null || chunk === undefined) {
        return false;
      }
      at.current = next;
      setPlace([next + 1, chunks.length]);
      shown.dispatch({ effects: EditorView.scrollIntoView(Math.min(chunk.fromB, shown.state.doc.length), { y: 'center' }) });
      return true;
    }
  }));

  const split = layout === 'split';
  return (
    <div className={`devstudio-DiffBody devstudio-mod-${file.change} devstudio-mod-${layout}`}>
      {split && file.change === 'update' && (
        <div className="devstudio-DiffSides">
          <span>{trans.__('Before')}</span>
          <span>{editing ? trans.__('After (you edit it)') : trans.__('After')}</span>
        </div>
      )}
      <span role="status" className="devstudio-DiffPlace" data-testid="diff-place">
        {place !== null && trans.__('Change %1 of %2', place[0], place[1])}
      </span>
      <div className="devstudio-DiffEditors">
        {split && file.change === 'create' && (
          <NoSide title={trans.__('New file')} text={trans.__('There was nothing here before.')} />
        )}
        <div ref={host} className="devstudio-Merge" />
        {split && file.change === 'delete' && (
          <NoSide title={trans.__('Deleted')} text={trans.__('This file will be gone.')} />
        )}
      </div>
    </div>
  );
});

/** Ctrl+Enter belongs to the review. */
const WITHOUT_MOD_ENTER = defaultKeymap.filter(({ key }) => key !== 'Mod-Enter');

/** Stands where a side would be that does not exist. */
function NoSide(props: { title: string; text: string }): React.JSX.Element {
  return (
    <div className="devstudio-NoSide" data-testid="diff-no-side">
      <strong>{props.title}</strong>
      <span>{props.text}</span>
    </div>
  );
}

function sideExtensions(label: string, language: Extension, editable: boolean): Extension[] {
  return [
    lineNumbers(),
    EditorState.readOnly.of(!editable),
    EditorView.editable.of(editable),
    editable ? [history(), keymap.of([...WITHOUT_MOD_ENTER, ...historyKeymap])] : [],
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

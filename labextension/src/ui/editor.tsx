import { EditorView, placeholder } from '@codemirror/view';
import { CodeEditor, type IEditorFactoryService } from '@jupyterlab/codeeditor';
import type { DocumentType } from '@renum/devstudio-api-client';
import * as React from 'react';

import type { SessionModel } from '../model/session';
import { lintMarks, mark, positionOf, viewIn } from './editor-marks';

interface IProps {
  model: SessionModel;
  kind: DocumentType;
  label: string;
  /** What stands there while the document is empty. */
  hint: string;
  /** Whether the text can only be read. */
  readOnly: boolean;
  editors: IEditorFactoryService;
}

/** JupyterLab's own editor on a document. Its text is the draft, else what is saved. */
export function DocumentEditor({ model, kind, label, hint, readOnly, editors }: IProps): React.JSX.Element {
  const host = React.useRef<HTMLDivElement>(null);
  const source = React.useRef<CodeEditor.IModel | null>(null);
  const text = model.textOf(kind);

  React.useEffect(() => {
    if (host.current === null) {
      return undefined;
    }
    const content = new CodeEditor.Model({ mimeType: 'text/x-ipythongfm' });
    content.sharedModel.setSource(model.textOf(kind));
    const editor = editors.newDocumentEditor({
      host: host.current,
      model: content,
      config: { lineNumbers: true, lineWrap: true, readOnly },
      extensions: [
        EditorView.contentAttributes.of({ 'aria-label': label, 'data-testid': 'doc-editor' }),
        placeholder(hint),
        lintMarks
      ]
    });
    const onChanged = (): void => {
      model.edit(kind, content.sharedModel.getSource());
    };
    content.sharedModel.changed.connect(onChanged);
    source.current = content;
    return () => {
      source.current = null;
      content.sharedModel.changed.disconnect(onChanged);
      editor.dispose();
      content.dispose();
    };
  }, [model, kind, label, hint, readOnly, editors]);

  React.useEffect(() => {
    if (source.current !== null && source.current.sharedModel.getSource() !== text) {
      source.current.sharedModel.setSource(text);
    }
  }, [text]);

  const saved = model.session?.documents[kind].content ?? '';
  const { lint, place } = model;
  React.useEffect(() => {
    const view = host.current === null ? null : viewIn(host.current);
    if (view !== null && view.state.doc.toString() === saved) {
      mark(view, model.warningsOf(kind)); // while it is edited, the marks move with the text
    }
  }, [model, kind, lint, saved]);

  React.useEffect(() => {
    const view = host.current === null ? null : viewIn(host.current);
    if (view !== null && place !== null) {
      const at = positionOf(view.state.doc, place.line, place.column);
      view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: 'center' }) });
      view.focus();
    }
  }, [place]);

  return <div ref={host} className="devstudio-Editor" />;
}

import { StateEffect, StateField, type Text } from '@codemirror/state';
import { Decoration, EditorView, type DecorationSet } from '@codemirror/view';
import type { LintWarning } from '@renum/devstudio-api-client';

const setMarks = StateEffect.define<DecorationSet>();

/** Underlines what looks wrong; the lines move with what is typed until the marks are set anew. */
export const lintMarks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update: (marks, transaction) =>
    transaction.effects.reduce((last, effect) => (effect.is(setMarks) ? effect.value : last), marks.map(transaction.changes)),
  provide: field => EditorView.decorations.from(field)
});

/** Underline `warnings` and nothing else; hovering one tells it. */
export function mark(view: EditorView, warnings: readonly LintWarning[]): void {
  const { doc } = view.state;
  const ranges = warnings.flatMap(({ line, column, end_column, severity, message, suggestion }) => {
    const from = positionOf(doc, line, column ?? 1);
    const to = positionOf(doc, line, end_column ?? 1);
    const title = [message, suggestion ?? ''].filter(text => text !== '').join('\n');
    const look = { class: `devstudio-Mark devstudio-mod-${severity ?? 'warning'}`, attributes: { title } };
    return to > from ? [Decoration.mark(look).range(from, to)] : [];
  });
  view.dispatch({ effects: setMarks.of(Decoration.set(ranges, true)) });
}

/** The place of a line and a column, both counted from 1, the column in characters as the server counts them. */
export function positionOf(doc: Text, line: number, column: number): number {
  const { from, text } = doc.line(Math.min(Math.max(line, 1), doc.lines));
  return from + Array.from(text).slice(0, column - 1).join('').length;
}

/** The editor that an element holds. */
export function viewIn(host: HTMLElement): EditorView | null {
  const editor = host.querySelector<HTMLElement>('.cm-editor');
  return editor === null ? null : EditorView.findFromDOM(editor);
}

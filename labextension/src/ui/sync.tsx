import type { Conflict, ConflictAnswer } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { compareLines } from '../model/line-diff';
import type { SessionModel } from '../model/session';
import type { SyncState } from '../model/sync';
import { Button, Chip, ErrorBox, Spinner } from './common';
import { useStudio } from './context';
import { useKeptFocus } from './focus';
import { useMissing } from './permission';
import { documentName } from './status';

const TONES = { synced: 'good', syncing: 'info', conflicts: 'warn', offline: 'bad', failed: 'bad' } as const;

/** How the session and its files stand, and a way to look at once. */
export function SyncBar({ model }: { model: SessionModel }): React.JSX.Element {
  const { trans } = useStudio();
  const missing = useMissing()('updateSession');
  const { sync } = model;
  return (
    <span className="devstudio-Sync" role="status" data-testid="sync">
      {sync.syncing && <Spinner />}
      <Chip tone={TONES[sync.state]} testid="sync-state" status={sync.state} title={sync.error?.detail ?? ''}>
        {stateName(sync.state, sync.open.length, trans)}
      </Chip>
      <Button
        label={trans.__('Sync now')}
        testid="sync-now"
        title={trans.__('Take in what other programs wrote into the files of this session')}
        blocked={missing ?? (sync.syncing ? trans.__('This is being done') : null)}
        onClick={() => void sync.run()}
      />
    </span>
  );
}

function stateName(state: SyncState, open: number, trans: TranslationBundle): string {
  const names = {
    synced: trans.__('Files in sync'),
    syncing: trans.__('Syncing…'),
    conflicts: trans._n('%1 conflict', '%1 conflicts', open, open),
    offline: trans.__('Offline'),
    failed: trans.__('Sync failed')
  };
  return names[state];
}

/** What could not be merged, block by block, and what became of the last answer; nothing while there is neither. */
export function ConflictsPane({ model }: { model: SessionModel }): React.JSX.Element | null {
  const { trans } = useStudio();
  const { sync } = model;
  const pane = useKeptFocus<HTMLElement>(
    `${String(sync.resolving)} ${String(sync.open.length)}`,
    '[data-testid="conflict"][tabindex="0"]'
  );
  const failed = sync.error !== null && model.error === null;
  if (!failed && sync.open.length === 0 && sync.undoable === null && sync.refusal === null && sync.kept.length === 0) {
    return null;
  }
  return (
    <section ref={pane} tabIndex={-1} className="devstudio-Conflicts" aria-label={trans.__('Conflicts')} data-testid="conflicts">
      {failed && sync.error !== null && <ErrorBox error={sync.error} onRetry={() => void sync.run()} />}
      {sync.refusal !== null && <ErrorBox error={sync.refusal} />}
      {sync.kept.length > 0 && (
        <p className="devstudio-Warning" data-testid="sync-kept">
          {trans.__('These files could not be read, and were left alone or put aside: %1', sync.kept.join(', '))}
        </p>
      )}
      <Undo model={model} />
      {sync.open.length > 0 && <List model={model} />}
    </section>
  );
}

function Undo({ model }: { model: SessionModel }): React.JSX.Element | null {
  const { trans } = useStudio();
  const { sync } = model;
  const { undoable } = sync;
  if (undoable === null) {
    return null;
  }
  const name = documentName(undoable.document, trans);
  return (
    <div className="devstudio-Note devstudio-Row" role="status" data-testid="conflict-done">
      <span>{trans.__('Resolved: %1. %2 has a new version.', undoable.label === '' ? name : undoable.label, name)}</span>
      <Button
        label={trans.__('Undo')}
        testid="conflict-undo"
        title={trans.__('Make the document what it was before, as a new version')}
        blocked={sync.resolving === null ? null : trans.__('This is being decided')}
        onClick={() => void sync.undo()}
      />
    </div>
  );
}

/** The open conflicts. The arrow keys walk through them; letters answer the one with the focus. */
function List({ model }: { model: SessionModel }): React.JSX.Element {
  const { trans } = useStudio();
  const { sync } = model;
  const { open } = sync;
  const missing = useMissing()('updateSession');
  const blocked = missing ?? (sync.resolving === null ? null : trans.__('This is being decided'));
  const list = React.useRef<HTMLUListElement>(null);
  const [current, setCurrent] = React.useState('');
  const [editing, setEditing] = React.useState<string | null>(null);
  const at = Math.max(0, open.findIndex(({ id }) => id === current));
  const answer = (conflict: Conflict, body: ConflictAnswer): void => {
    if (blocked === null) {
      void sync.resolve(conflict, body).then(done => {
        if (done) {
          setEditing(null);
        }
      });
    }
  };
  const focus = (index: number): void => {
    const conflict = open[Math.min(Math.max(index, 0), open.length - 1)];
    if (conflict !== undefined) {
      setCurrent(conflict.id);
      list.current?.querySelector<HTMLElement>(`[data-conflict-id="${conflict.id}"]`)?.focus();
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const conflict = open[at];
    const { target } = event;
    const known = target instanceof HTMLElement && target.dataset.conflictId !== undefined;
    if (!known || conflict === undefined || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const choice = choicesOf(conflict, trans).find(({ key }) => key === event.key.toLowerCase());
    const moves: Record<string, () => void> = {
      ArrowDown: () => { focus(at + 1); },
      ArrowUp: () => { focus(at - 1); },
      Home: () => { focus(0); },
      End: () => { focus(open.length - 1); },
      e: () => {
        if (conflict.kind === 'conflict') {
          setEditing(conflict.id);
        }
      }
    };
    const move = choice === undefined ? moves[event.key] : () => { answer(conflict, { choice: choice.choice }); };
    if (move !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      move();
    }
  };
  return (
    <>
      <h3>{trans._n('%1 conflict between the studio and the files', '%1 conflicts between the studio and the files', open.length, open.length)}</h3>
      <ul ref={list} onKeyDown={onKeyDown} aria-label={trans.__('Conflicts; arrow keys move, letters answer')}>
        {open.map((conflict, index) => (
          <Item
            key={conflict.id}
            conflict={conflict}
            blocked={blocked}
            tabIndex={index === at ? 0 : -1}
            editing={editing === conflict.id}
            onFocus={() => { setCurrent(conflict.id); }}
            onEdit={on => { setEditing(on ? conflict.id : null); }}
            onAnswer={body => { answer(conflict, body); }}
          />
        ))}
      </ul>
    </>
  );
}

interface IChoice {
  choice: ConflictAnswer['choice'];
  key: string;
  label: string;
}

/** The answers that need no text. */
function choicesOf(conflict: Conflict, trans: TranslationBundle): IChoice[] {
  return conflict.kind === 'deletion'
    ? [
        { choice: 'restore', key: 'r', label: conflict.block_id === '' ? trans.__('Restore the file') : trans.__('Restore it') },
        { choice: 'delete', key: 'd', label: trans.__('Delete the text') }
      ]
    : [
        { choice: 'ours', key: 'k', label: trans.__('Keep stored') },
        { choice: 'theirs', key: 't', label: conflict.source === 'editor' ? trans.__('Take from notebook') : trans.__('Take from file') },
        { choice: 'both', key: 'b', label: trans.__('Keep both') }
      ];
}

interface IItemProps {
  conflict: Conflict;
  blocked: string | null;
  tabIndex: number;
  editing: boolean;
  onFocus: () => void;
  onEdit: (on: boolean) => void;
  onAnswer: (body: ConflictAnswer) => void;
}

function Item(props: IItemProps): React.JSX.Element {
  const { trans, locale } = useStudio();
  const { conflict, blocked, editing, onEdit, onAnswer } = props;
  const name = documentName(conflict.document, trans);
  const label = conflict.label === '' ? trans.__('%1, the whole document', name) : conflict.label;
  const deletion = conflict.kind === 'deletion';
  return (
    <li
      className="devstudio-Block"
      tabIndex={props.tabIndex}
      aria-label={label}
      data-testid="conflict"
      data-conflict-id={conflict.id}
      data-kind={conflict.kind}
      onFocus={props.onFocus}
    >
      <div className="devstudio-Row">
        <Chip tone={deletion ? 'bad' : 'warn'}>{deletion ? trans.__('deleted outside') : trans.__('changed on both sides')}</Chip>
        <span className="devstudio-BlockLabel">{label}</span>
        <span className="devstudio-Faint">
          {trans.__('%1 · %2', sourceOf(conflict, trans), new Date(conflict.updated_at).toLocaleString(locale))}
        </span>
      </div>
      {deletion ? <Deleted conflict={conflict} /> : <Texts conflict={conflict} />}
      {editing ? (
        <EditForm conflict={conflict} blocked={blocked} onAnswer={onAnswer} onClose={() => { onEdit(false); }} />
      ) : (
        <div className="devstudio-Row">
          {choicesOf(conflict, trans).map(({ choice, key, label: text }) => (
            <Button
              key={choice}
              label={text}
              name={trans.__('%1: %2', text, label)}
              title={trans.__('%1 (%2)', text, key.toUpperCase())}
              kind={choice === 'delete' ? 'danger' : 'plain'}
              testid={`conflict-${choice}`}
              blocked={blocked}
              onClick={() => { onAnswer({ choice }); }}
            />
          ))}
          {!deletion && (
            <Button
              label={trans.__('Edit…')}
              name={trans.__('Edit: %1', label)}
              title={trans.__('Write another text (E)')}
              testid="conflict-edit"
              blocked={blocked}
              onClick={() => { onEdit(true); }}
            />
          )}
        </div>
      )}
    </li>
  );
}

function sourceOf(conflict: Conflict, trans: TranslationBundle): string {
  const names = {
    markdown: trans.__('the file %1.md, by %2', conflict.document, conflict.who),
    notebook: trans.__('the notebook’s file, by %1', conflict.who),
    editor: trans.__('the notebook, saved by %1', conflict.who)
  };
  return names[conflict.source];
}

function Deleted({ conflict }: { conflict: Conflict }): React.JSX.Element {
  const { trans } = useStudio();
  return (
    <>
      <p>
        {conflict.block_id === ''
          ? trans.__('The file was deleted. Its text is still stored:')
          : trans.__('This block was removed in the file. Its text is still stored:')}
      </p>
      <Text text={conflict.ours} base={conflict.ours} />
    </>
  );
}

/** What both sides started from, and what each made of it. */
function Texts({ conflict }: { conflict: Conflict }): React.JSX.Element {
  const { trans } = useStudio();
  const { base, ours, theirs, source } = conflict;
  const columns: [string, string, string | null][] = [
    ['base', trans.__('Both started from'), base],
    ['ours', trans.__('Stored'), ours],
    ['theirs', source === 'editor' ? trans.__('From the notebook') : trans.__('From the file'), theirs]
  ];
  return (
    <div className="devstudio-ThreeWay">
      {columns.map(([side, title, text]) => (
        <section key={side} aria-label={title} data-testid={`conflict-text-${side}`}>
          <h4>{title}</h4>
          <Text text={text} base={side === 'base' ? text : base} />
        </section>
      ))}
    </div>
  );
}

/** A text, with its lines marked where they are not those of `base`. */
function Text({ text, base }: { text: string | null; base: string | null }): React.JSX.Element {
  const { trans } = useStudio();
  const lines = React.useMemo(() => compareLines(base ?? '', text ?? ''), [base, text]);
  if (text === null) {
    return <p className="devstudio-Faint">{trans.__('It is not there.')}</p>;
  }
  return (
    <div className="devstudio-Lines">
      {lines.map(({ kind, text: line }, at) =>
        kind === 'removed' ? (
          <del key={at} aria-label={trans.__('Before: %1', line)}>{line}</del>
        ) : kind === 'added' ? (
          <ins key={at} aria-label={trans.__('After: %1', line)}>{line}</ins>
        ) : (
          <span key={at}>{line}</span>
        )
      )}
    </div>
  );
}

/** Another text than either side's. It starts as both, so that nothing has to be copied. */
function EditForm(props: {
  conflict: Conflict;
  blocked: string | null;
  onAnswer: (body: ConflictAnswer) => void;
  onClose: () => void;
}): React.JSX.Element {
  const { trans } = useStudio();
  const { conflict, blocked, onAnswer, onClose } = props;
  const [text, setText] = React.useState(() => [conflict.ours, conflict.theirs].filter(side => side !== null).join('\n'));
  const send = (): void => {
    onAnswer({ choice: 'text', text });
  };
  return (
    <div className="devstudio-Work">
      <label className="devstudio-Field">
        <span>{trans.__('The text of this block; it starts as both')}</span>
        <textarea
          className="jp-mod-styled"
          rows={Math.min(16, text.split('\n').length + 1)}
          autoFocus={true}
          data-testid="conflict-editor"
          value={text}
          onChange={event => { setText(event.target.value); }}
          onKeyDown={event => {
            event.stopPropagation();
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              send();
            } else if (event.key === 'Escape') {
              onClose();
            }
          }}
        />
      </label>
      <div className="devstudio-Row">
        <Button kind="primary" label={trans.__('Save this text')} title={trans.__('Save this text (Ctrl+Enter)')} testid="conflict-text" blocked={blocked} onClick={send} />
        <Button label={trans.__('Cancel')} testid="conflict-cancel" onClick={onClose} />
      </div>
    </div>
  );
}

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ProposalBlock } from '@renum/devstudio-api-client';
import * as React from 'react';

import { compareLines } from '../model/line-diff';
import type { Proposals } from '../model/proposals';
import { DOCUMENTS, type SessionModel } from '../model/session';
import { Button, Chip, Empty, ErrorBox } from './common';
import { useStudio } from './context';
import { useKeptFocus } from './focus';
import { useMissing } from './permission';
import { documentName } from './status';
import { PartialText, StreamedPane } from './stream';

/** What the model writes, and then what it proposes, below the documents; nothing while there is neither. */
export function ProposalPane({ model }: { model: SessionModel }): React.JSX.Element | null {
  const { trans } = useStudio();
  const { planning, proposals } = model;
  if (planning.running) {
    return planning.streamed.isEmpty ? null : (
      <section className="devstudio-Proposal" aria-label={trans.__('Proposal')}>
        <h3>{trans.__('The model writes…')}</h3>
        <StreamedPane streamed={planning.streamed} live={true} />
      </section>
    );
  }
  if (planning.leftPartial) {
    return (
      <section className="devstudio-Proposal" aria-label={trans.__('Proposal')}>
        <PartialText operation={planning} />
      </section>
    );
  }
  return proposals.open === null ? <Refused proposals={proposals} /> : <Decision model={model} />;
}

/** That the last proposal was refused, and what becomes of the reason. */
function Refused({ proposals }: { proposals: Proposals }): React.JSX.Element | null {
  const { trans } = useStudio();
  const reason = proposals.rejected?.reason ?? '';
  return reason === '' ? null : (
    <p className="devstudio-Note" role="status" data-testid="proposal-rejected">
      {trans.__('You rejected the last proposal: “%1”. The next plan of this stage reads that.', reason)}
    </p>
  );
}

function Decision({ model }: { model: SessionModel }): React.JSX.Element {
  const { trans } = useStudio();
  const { proposals } = model;
  const { blocks, deciding, error } = proposals;
  const missing = useMissing()('acceptProposal');
  const [asking, setAsking] = React.useState(false);
  const pane = useKeptFocus<HTMLElement>(`${String(deciding)} ${String(blocks.length)}`, '[data-testid="proposal-block"][tabindex="0"]');
  const open = blocks.filter(block => block.accepted === null);
  const blocked = missing ?? (deciding === null ? null : trans.__('This is being decided'));
  const acceptAll = (): void => void proposals.accept();
  const same = (proposals.open?.blocks.length ?? 0) - blocks.length;
  return (
    <section
      ref={pane}
      tabIndex={-1}
      className="devstudio-Proposal"
      aria-label={trans.__('Proposal')}
      data-testid="proposal"
      onKeyDown={event => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && blocked === null && !asking) {
          event.preventDefault();
          acceptAll();
        }
      }}
    >
      <div className="devstudio-Row devstudio-ProposalHead">
        <h3>{trans.__('Proposal')}</h3>
        <span className="devstudio-Faint">
          {trans._n('%1 change to decide', '%1 changes to decide', open.length, open.length)}
          {same > 0 && ` · ${trans._n('%1 block stays', '%1 blocks stay', same, same)}`}
          {` · ${proposals.open?.model ?? ''}`}
        </span>
        <span className="devstudio-Stretch" />
        <Button
          kind="primary"
          label={trans.__('Accept all')}
          title={trans.__('Accept all (Ctrl+Enter)')}
          testid="proposal-accept-all"
          blocked={blocked}
          onClick={acceptAll}
        />
        {!asking && (
          <Button
            label={trans.__('Reject…')}
            testid="proposal-reject"
            blocked={blocked}
            onClick={() => {
              setAsking(true);
            }}
          />
        )}
      </div>
      {asking && (
        <RejectForm
          proposals={proposals}
          onClose={() => {
            setAsking(false);
          }}
        />
      )}
      {error !== null && <ErrorBox error={error} onRetry={() => void model.refresh()} />}
      {blocks.length === 0 ? (
        <Empty text={trans.__('The proposal is what is written already. There is nothing to decide.')}>
          <Button label={trans.__('Close it')} testid="proposal-close" blocked={blocked} onClick={acceptAll} />
        </Empty>
      ) : (
        <Blocks model={model} blocked={blocked} />
      )}
    </section>
  );
}

/** The changes by document. The arrow keys walk through them; A accepts the one with the focus. */
function Blocks({ model, blocked }: { model: SessionModel; blocked: string | null }): React.JSX.Element {
  const { trans } = useStudio();
  const { proposals } = model;
  const { blocks } = proposals;
  const list = React.useRef<HTMLDivElement>(null);
  const [current, setCurrent] = React.useState('');
  const at = Math.max(0, blocks.findIndex(block => block.id === current));
  const focus = (index: number): void => {
    const block = blocks[Math.min(Math.max(index, 0), blocks.length - 1)];
    if (block !== undefined) {
      setCurrent(block.id);
      list.current?.querySelector<HTMLElement>(`[data-block-id="${CSS.escape(block.id)}"]`)?.focus();
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const block = blocks[at];
    if (!(event.target instanceof HTMLElement) || event.target.dataset.blockId === undefined || block === undefined) {
      return;
    }
    const moves: Record<string, () => void> = {
      ArrowDown: () => { focus(at + 1); },
      ArrowUp: () => { focus(at - 1); },
      Home: () => { focus(0); },
      End: () => { focus(blocks.length - 1); },
      a: () => {
        if (blocked === null && block.accepted === null && block.conflict !== true) {
          void proposals.accept(block.id);
        }
      }
    };
    const move = event.ctrlKey || event.metaKey || event.altKey ? undefined : moves[event.key];
    if (move !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      move();
    }
  };
  const documents = DOCUMENTS.filter(kind => blocks.some(block => block.document === kind));
  return (
    <div ref={list} className="devstudio-Blocks" onKeyDown={onKeyDown}>
      {documents.map(kind => (
        <React.Fragment key={kind}>
          {documents.length > 1 && <h4>{documentName(kind, trans)}</h4>}
          <ul aria-label={trans.__('Changes of %1; arrow keys move, A accepts', documentName(kind, trans))}>
            {blocks
              .filter(block => block.document === kind)
              .map(block => (
                <Block
                  key={block.id}
                  block={block}
                  blocked={blocked}
                  tabIndex={block.id === blocks[at]?.id ? 0 : -1}
                  onFocus={() => {
                    setCurrent(block.id);
                  }}
                  onAccept={() => void proposals.accept(block.id)}
                />
              ))}
          </ul>
        </React.Fragment>
      ))}
    </div>
  );
}

const TONES = { added: 'good', changed: 'info', removed: 'bad', moved: 'warn', same: 'neutral' } as const;

function kindName(kind: ProposalBlock['kind'], trans: TranslationBundle): string {
  const names = {
    added: trans.__('new'),
    changed: trans.__('changed'),
    removed: trans.__('removed'),
    moved: trans.__('moved'),
    same: trans.__('unchanged')
  };
  return names[kind];
}

interface IBlockProps {
  block: ProposalBlock;
  blocked: string | null;
  tabIndex: number;
  onFocus: () => void;
  onAccept: () => void;
}

function Block({ block, blocked, tabIndex, onFocus, onAccept }: IBlockProps): React.JSX.Element {
  const { trans } = useStudio();
  const before = block.before ?? '';
  const conflict = block.conflict === true;
  const why = conflict ? trans.__('It was changed meanwhile; edit the document to take over what you want of it') : blocked;
  return (
    <li
      className="devstudio-Block"
      tabIndex={tabIndex}
      aria-label={`${block.label}: ${kindName(block.kind, trans)}`}
      data-testid="proposal-block"
      data-block-id={block.id}
      data-block-kind={block.kind}
      data-accepted={block.accepted ?? ''}
      onFocus={onFocus}
    >
      <div className="devstudio-Row">
        <Chip tone={TONES[block.kind]}>{kindName(block.kind, trans)}</Chip>
        <span className="devstudio-BlockLabel">{block.label}</span>
        <span className="devstudio-Stretch" />
        {block.accepted === null ? (
          <Button
            label={trans.__('Accept')}
            name={trans.__('Accept: %1', block.label)}
            testid="block-accept"
            blocked={why}
            onClick={onAccept}
          />
        ) : (
          <Chip tone={block.accepted ? 'good' : 'neutral'}>{block.accepted ? trans.__('accepted') : trans.__('left out')}</Chip>
        )}
      </div>
      {conflict && (
        <p className="devstudio-Note devstudio-mod-bad" data-testid="block-conflict">
          {block.present == null
            ? trans.__('This block was removed after the model read it. Nothing is replaced; below is what the model proposes.')
            : trans.__('This block was changed after the model read it. Nothing is replaced; below, what is written now (−) and what the model proposes (+).')}
        </p>
      )}
      {block.accepted === null && <Comparison before={conflict ? (block.present ?? '') : before} after={block.after ?? ''} />}
    </li>
  );
}

/** The lines of both texts; signs and names tell them apart as well as colours do. */
function Comparison({ before, after }: { before: string; after: string }): React.JSX.Element {
  const { trans } = useStudio();
  const lines = React.useMemo(() => compareLines(before, after), [before, after]);
  return (
    <div className="devstudio-Lines">
      {lines.map(({ kind, text }, at) =>
        kind === 'removed' ? (
          <del key={at} aria-label={trans.__('Before: %1', text)}>
            {text}
          </del>
        ) : kind === 'added' ? (
          <ins key={at} aria-label={trans.__('After: %1', text)}>
            {text}
          </ins>
        ) : (
          <span key={at}>{text}</span>
        )
      )}
    </div>
  );
}

/** Ask why a proposal is refused: the next plan needs to know. */
function RejectForm({ proposals, onClose }: { proposals: Proposals; onClose: () => void }): React.JSX.Element {
  const { trans } = useStudio();
  const [reason, setReason] = React.useState('');
  const send = (): void => {
    if (reason.trim() !== '') {
      void proposals.reject(reason.trim());
    }
  };
  return (
    <div className="devstudio-Work">
      <label className="devstudio-Field">
        <span>{trans.__('Why? The next plan reads this.')}</span>
        <textarea
          className="jp-mod-styled"
          rows={2}
          autoFocus={true}
          maxLength={10_000}
          data-testid="reject-reason"
          value={reason}
          onChange={event => {
            setReason(event.target.value);
          }}
          onKeyDown={event => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              event.stopPropagation();
              send();
            } else if (event.key === 'Escape') {
              onClose();
            }
          }}
        />
      </label>
      <div className="devstudio-Row">
        <Button
          kind="danger"
          label={trans.__('Reject')}
          testid="reject-confirm"
          blocked={reason.trim() === '' ? trans.__('Say why first') : null}
          onClick={send}
        />
        <Button label={trans.__('Cancel')} onClick={onClose} />
      </div>
    </div>
  );
}

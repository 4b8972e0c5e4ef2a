import type { IEditorFactoryService } from '@jupyterlab/codeeditor';
import type { DocumentType } from '@renum/devstudio-api-client';
import * as React from 'react';

import { DOCUMENTS, type SessionModel } from '../model/session';
import { Button, Chip, ErrorBox } from './common';
import { useStudio } from './context';
import { DocumentEditor } from './editor';
import { useMissing } from './permission';
import { ProposalPane } from './proposal';
import { Warnings } from './session-lint';
import { documentName, documentStatusName } from './status';

/** The three documents as tabs, with the editor of the one that is shown. */
export function DocumentsPane(props: { model: SessionModel; editors: IEditorFactoryService }): React.JSX.Element {
  const { trans } = useStudio();
  const { model, editors } = props;
  const kind = model.shown;
  const readOnly = useMissing()('updateSession') !== null;
  const tabs = React.useRef<HTMLDivElement>(null);
  const step = (by: number): void => {
    const next = DOCUMENTS[(DOCUMENTS.indexOf(kind) + by + DOCUMENTS.length) % DOCUMENTS.length] ?? kind;
    model.show(next);
    tabs.current?.querySelector<HTMLElement>(`[data-testid="doc-tab-${next}"]`)?.focus();
  };
  return (
    <section className="devstudio-Documents" aria-label={trans.__('Documents')}>
      <div className="devstudio-Tabs">
        <div
          ref={tabs}
          role="tablist"
          aria-label={trans.__('Documents')}
          onKeyDown={event => {
            if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') {
              event.preventDefault();
              step(event.key === 'ArrowRight' ? 1 : -1);
            }
          }}
        >
          {DOCUMENTS.map(each => (
            <button
              key={each}
              type="button"
              role="tab"
              aria-selected={each === kind}
              tabIndex={each === kind ? 0 : -1}
              data-testid={`doc-tab-${each}`}
              onClick={() => {
                model.show(each);
              }}
            >
              {documentName(each, trans)}
              {model.draftOf(each) !== null && (
                <span className="devstudio-Dirty" title={trans.__('Not saved yet')}>
                  {' ●'}
                </span>
              )}
            </button>
          ))}
        </div>
        <SaveBar model={model} kind={kind} />
      </div>
      {model.inConflict(kind) && <Conflict model={model} kind={kind} />}
      <Suspect model={model} kind={kind} />
      {!model.inConflict(kind) && model.saveErrors.has(kind) && <SaveError model={model} kind={kind} />}
      <DocumentEditor
        model={model}
        kind={kind}
        label={documentName(kind, trans)}
        hint={readOnly ? trans.__('Nothing is written here yet.') : trans.__('Write this document here, or let Plan write it.')}
        readOnly={readOnly}
        editors={editors}
      />
      <Warnings model={model} kind={kind} />
      <ProposalPane model={model} />
    </section>
  );
}

function SaveBar({ model, kind }: { model: SessionModel; kind: DocumentType }): React.JSX.Element {
  const { trans } = useStudio();
  const missing = useMissing()('updateSession');
  const dirty = model.draftOf(kind) !== null;
  const saving = model.saving.has(kind);
  const version = model.session?.documents[kind].version ?? 0;
  const state = saving
    ? trans.__('Saving…')
    : dirty
      ? trans.__('Not saved yet; kept in this browser')
      : version === 0
        ? trans.__('Empty')
        : trans.__('Saved, version %1', version);
  const blocked =
    missing ??
    (model.inConflict(kind)
      ? trans.__('Choose between the two texts first')
      : dirty && !saving
        ? null
        : trans.__('There is nothing to save'));
  return (
    <div className="devstudio-Row">
      <span className="devstudio-Faint" role="status" data-testid="doc-state">
        {state}
      </span>
      <Approval model={model} kind={kind} />
      <Button
        label={trans.__('Save')}
        kind={dirty ? 'primary' : 'plain'}
        title={trans.__('Save (Ctrl+S)')}
        testid="doc-save"
        blocked={blocked}
        onClick={() => void model.save(kind)}
      />
    </div>
  );
}

/** Where a document stands, and what takes it further: approve what is written, or open what is approved again. */
function Approval({ model, kind }: { model: SessionModel; kind: DocumentType }): React.JSX.Element | null {
  const { trans } = useStudio();
  const missing = useMissing()('approveDocument');
  const found = model.session?.documents[kind];
  if (found === undefined || found.version === 0) {
    return null;
  }
  const status = found.status ?? 'draft';
  const busy = model.saving.has(kind) ? trans.__('Saving…') : null;
  const unsaved = model.draftOf(kind) === null ? null : trans.__('Save it first');
  return (
    <>
      <Chip tone={STATUS_TONES[status]} testid="doc-status" status={status} title={found.status_reason ?? ''}>
        {documentStatusName(status, trans)}
      </Chip>
      {status === 'approved' ? (
        <Button
          label={trans.__('Reopen')}
          testid="doc-reopen"
          title={trans.__('Make it a draft again')}
          blocked={missing ?? busy}
          onClick={() => void model.setApproved(kind, false)}
        />
      ) : (
        <Button
          label={status === 'suspect' ? trans.__('Approve again') : trans.__('Approve')}
          testid="doc-approve"
          title={trans.__('Approve this version')}
          blocked={missing ?? busy ?? unsaved}
          onClick={() => void model.setApproved(kind, true)}
        />
      )}
    </>
  );
}

const STATUS_TONES = { draft: 'neutral', approved: 'good', suspect: 'warn' } as const;

function SaveError({ model, kind }: { model: SessionModel; kind: DocumentType }): React.JSX.Element | null {
  const error = model.saveErrors.get(kind);
  return error === undefined ? null : <ErrorBox error={error} onRetry={() => void model.save(kind)} />;
}

/** Both texts of a document that changed on both sides; nothing is lost until a person chooses. */
function Conflict({ model, kind }: { model: SessionModel; kind: DocumentType }): React.JSX.Element {
  const { trans } = useStudio();
  const missing = useMissing()('updateSession');
  return (
    <div className="devstudio-Conflict" role="alert" data-testid="doc-conflict">
      <strong>{trans.__('This document was changed elsewhere while you were editing it.')}</strong>
      <p>{trans.__('Your text is in the editor below. This is what is saved now:')}</p>
      <pre tabIndex={0} aria-label={trans.__('The saved text')}>
        {model.session?.documents[kind].content}
      </pre>
      <div className="devstudio-Row">
        <Button
          kind="danger"
          label={trans.__('Overwrite with mine')}
          testid="conflict-mine"
          blocked={missing}
          onClick={() => void model.overwriteWithMine(kind)}
        />
        <Button
          label={trans.__('Take theirs')}
          testid="conflict-theirs"
          onClick={() => {
            model.takeTheirs(kind);
          }}
        />
      </div>
    </div>
  );
}

/** Why an approved document has to be looked at again. */
function Suspect({ model, kind }: { model: SessionModel; kind: DocumentType }): React.JSX.Element | null {
  const { trans } = useStudio();
  const found = model.session?.documents[kind];
  if (found?.status !== 'suspect') {
    return null;
  }
  return (
    <p className="devstudio-Warning" data-testid="doc-suspect">
      {trans.__('Suspect: %1', found.status_reason ?? '')}
    </p>
  );
}

import type { Patch, PatchPreview, RebaseConflict } from '@renum/devstudio-api-client';
import * as React from 'react';

import type { PatchModel } from '../model/patch';
import { lineEndOf } from '../model/patch-edits';
import { Button } from './common';
import { useStudio } from './context';
import { useMissing } from './permission';

interface IProps {
  model: PatchModel;
  patch: Patch;
  preview: PatchPreview;
}

/** Offers to bring the patch to the newest commit of its branch, once that has moved on. */
export function RebaseBox({ model, patch, preview }: IProps): React.JSX.Element | null {
  const { trans } = useStudio();
  const missing = useMissing();
  if (!model.isOpen || !preview.base_moved) {
    return model.done === 'rebased' ? (
      <p className="devstudio-Note" role="status" data-testid="patch-rebased">
        {trans.__('The patch is made for the newest commit now. Earlier approvals are void.')}
      </p>
    ) : null;
  }
  return (
    <div className="devstudio-Note" data-testid="patch-base-moved">
      <p>{trans.__('The branch %1 has moved on since this patch was made.', patch.branch)}</p>
      <Button
        label={trans.__('Rebase')}
        title={trans.__('Make it a patch for the newest commit. Approvals are void then.')}
        testid="patch-rebase"
        blocked={model.busy ? trans.__('Working…') : missing('editPatch')}
        onClick={() => void model.rebase()}
      />
    </div>
  );
}

/** Where the patch and its branch both changed something: the three texts, and the one that shall be. */
export function Conflicts({ model }: { model: PatchModel }): React.JSX.Element {
  const { trans } = useStudio();
  const [texts, setTexts] = React.useState<Readonly<Record<string, string | null>>>({});
  const { conflicts } = model;
  const open = conflicts.filter(({ path }) => texts[path] === undefined);
  return (
    <section className="devstudio-Conflicts" aria-label={trans.__('Conflicts')} data-testid="patch-conflicts">
      <h3>{trans._n('%1 file was changed on both sides', '%1 files were changed on both sides', conflicts.length)}</h3>
      <p>{trans.__('Nothing is changed until you say what each shall be.')}</p>
      {conflicts.map(conflict => (
        <ConflictItem
          key={conflict.path}
          conflict={conflict}
          text={texts[conflict.path]}
          onChange={text => {
            setTexts({ ...texts, [conflict.path]: text });
          }}
        />
      ))}
      <div className="devstudio-Row">
        <Button
          kind="primary"
          label={trans.__('Rebase with these texts')}
          testid="conflicts-submit"
          blocked={
            model.busy
              ? trans.__('Working…')
              : open.length > 0
                ? trans.__('Say first what %1 shall be', open.map(({ path }) => path).join(', '))
                : null
          }
          onClick={() => void model.rebase({ ...texts })}
        />
        <Button
          label={trans.__('Cancel')}
          testid="conflicts-cancel"
          onClick={() => {
            model.dropConflicts();
          }}
        />
      </div>
    </section>
  );
}

interface IConflictProps {
  conflict: RebaseConflict;
  /** What the file shall be; null for gone, undefined while nobody said. */
  text: string | null | undefined;
  onChange: (text: string | null) => void;
}

function ConflictItem({ conflict, text, onChange }: IConflictProps): React.JSX.Element {
  const { trans } = useStudio();
  const sides: readonly [string, string | null, string][] = [
    ['base', conflict.base, trans.__('Before both')],
    ['ours', conflict.ours, trans.__('On the branch now')],
    ['theirs', conflict.theirs, trans.__('In this patch')]
  ];
  return (
    <article data-testid="patch-conflict" data-path={conflict.path}>
      <h4 className="devstudio-FilePath">{conflict.path}</h4>
      <div className="devstudio-ConflictSides">
        {sides.map(([side, content, label]) => (
          <figure key={side}>
            <figcaption className="devstudio-Row">
              {label}
              <Button
                label={content === null ? trans.__('Take: no file') : trans.__('Take')}
                name={trans.__('Take for %1: %2', conflict.path, label)}
                testid={`conflict-take-${side}`}
                onClick={() => {
                  onChange(content);
                }}
              />
            </figcaption>
            <pre tabIndex={0}>{content ?? (conflict.binary === true ? trans.__('(no text)') : trans.__('(no file)'))}</pre>
          </figure>
        ))}
      </div>
      <label className="devstudio-Field">
        <span>{trans.__('What %1 shall be', conflict.path)}</span>
        {text === null ? (
          <em>{trans.__('The file will be gone.')}</em>
        ) : (
          <textarea
            className="jp-mod-styled devstudio-Code"
            rows={10}
            data-testid="conflict-text"
            spellCheck={false}
            placeholder={trans.__('Take a side and change it, or write the text.')}
            value={text ?? ''}
            onChange={event => {
              const crlf = lineEndOf(conflict.ours ?? conflict.theirs ?? '') === '\r\n';
              onChange(crlf ? event.target.value.replaceAll('\n', '\r\n') : event.target.value); // a text area has only \n
            }}
          />
        )}
      </label>
    </article>
  );
}

import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Operation } from '../model/operation';
import { DOCUMENTS } from '../model/session';
import type { StreamedText } from '../model/stream';
import { Button } from './common';
import { useStudio } from './context';
import { documentName } from './status';

/** How near to its end, in pixels, a pane still counts as scrolled to its end. */
const NEAR_PX = 24;

/** What a model writes, as it comes. It follows its end until somebody scrolls up. */
export function StreamedPane(props: { streamed: StreamedText; live: boolean }): React.JSX.Element | null {
  const { trans } = useStudio();
  const { streamed, live } = props;
  const pane = React.useRef<HTMLDivElement>(null);
  const following = React.useRef(true);
  const { texts } = streamed;
  React.useLayoutEffect(() => {
    const node = pane.current;
    if (live && following.current && node !== null) {
      node.scrollTop = node.scrollHeight;
    }
  });
  if (texts.length === 0) {
    return null;
  }
  return (
    <div
      ref={pane}
      className="devstudio-Streamed"
      role="region"
      tabIndex={0}
      aria-label={live ? trans.__('What the model writes') : trans.__('What the model wrote')}
      aria-busy={live}
      data-testid="streamed-text"
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        following.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
      }}
    >
      {texts.map(({ name, text }, at) => (
        <React.Fragment key={at}>
          {name !== '' && <strong>{argumentName(name, trans)}</strong>}
          <pre>{text}</pre>
        </React.Fragment>
      ))}
    </div>
  );
}

/** What came before a call was stopped or broke; it can be read and copied until the next call. */
export function PartialText({ operation }: { operation: Operation }): React.JSX.Element {
  const { trans } = useStudio();
  const [copied, setCopied] = React.useState(false);
  return (
    <div className="devstudio-Work" data-testid="partial-text">
      <div className="devstudio-Row">
        <strong>{operation.stopped ? trans.__('Stopped. This had come until then:') : trans.__('This had come before the error:')}</strong>
        <Button
          label={copied ? trans.__('Copied') : trans.__('Copy')}
          testid="partial-copy"
          onClick={() => {
            Clipboard.copyToSystem(operation.streamed.plain);
            setCopied(true);
          }}
        />
        <Button
          label={trans.__('Dismiss')}
          testid="partial-dismiss"
          onClick={() => {
            operation.dropPartial();
          }}
        />
      </div>
      <StreamedPane streamed={operation.streamed} live={false} />
    </div>
  );
}

/** What people call an argument of the tools that a model answers with; others keep their name. */
function argumentName(name: string, trans: TranslationBundle): string {
  const kind = DOCUMENTS.find(document => document === name);
  if (kind !== undefined) {
    return documentName(kind, trans);
  }
  const names: Record<string, string> = {
    summary: trans.__('Summary'),
    path: trans.__('File'),
    action: trans.__('Action'),
    content: trans.__('Content')
  };
  return names[name] ?? name;
}

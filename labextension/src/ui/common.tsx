import { Clipboard } from '@jupyterlab/apputils';
import { ProblemError, type Model as AiModel, type Usage } from '@renum/devstudio-api-client';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { CommandIds } from '../tokens';
import { useNow, useStudio } from './context';
import { formatCost, formatElapsed, short } from './format';
import { useAccess } from './permission';

interface IButtonProps {
  label: string;
  onClick: () => void;
  kind?: 'primary' | 'plain' | 'danger';
  /** Why it cannot be pressed now; null when it can. */
  blocked?: string | null;
  testid?: string;
  title?: string;
  name?: string;
}

/** A button. A blocked one stays focusable and says why. */
export function Button(props: IButtonProps): React.JSX.Element {
  const blocked = props.blocked ?? null;
  return (
    <button
      type="button"
      className={`devstudio-Button devstudio-mod-${props.kind ?? 'plain'}`}
      aria-disabled={blocked !== null}
      aria-label={props.name}
      title={blocked ?? props.title ?? ''}
      data-testid={props.testid}
      onClick={() => {
        if (blocked === null) {
          props.onClick();
        }
      }}
    >
      {props.label}
    </button>
  );
}

/** What went wrong, with its cause and request id, and what to do about it. */
export function ErrorBox(props: { error: ProblemError; onRetry?: () => void }): React.JSX.Element {
  const { trans } = useStudio();
  const access = useAccess();
  const { error, onRetry } = props;
  const [copied, setCopied] = React.useState(false);
  if (error.status === 401 && access.team) {
    return access.asking ? <Spinner /> : <SignInNote {...props} />;
  }
  const [title, detail] = wordsOf(error, trans);
  const others = error.errors.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`);
  return (
    <div className="devstudio-Error" role="alert" data-testid="error-box">
      <strong>{title}</strong>
      {detail !== '' && <p>{detail}</p>}
      {others.length > 1 && (
        <ul>
          {others.map(text => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      )}
      <div className="devstudio-Row">
        {onRetry !== undefined && <Retry key={error.retryAt} error={error} onRetry={onRetry} />}
        <Button
          label={copied ? trans.__('Copied') : trans.__('Copy details')}
          testid="error-copy"
          onClick={() => {
            Clipboard.copyToSystem(JSON.stringify(error.problem, null, 2));
            setCopied(true);
          }}
        />
        {error.requestId !== '' && (
          <span className="devstudio-Faint">{trans.__('Request %1', error.requestId)}</span>
        )}
      </div>
    </div>
  );
}

/** Retry; where a limit was reached, it says when, and waits for that. */
function Retry({ error, onRetry }: { error: ProblemError; onRetry: () => void }): React.JSX.Element {
  const { trans } = useStudio();
  const until = error.status === 429 ? error.retryAt : null;
  const now = useNow(until !== null);
  const wait = until === null ? 0 : Math.max(0, Math.ceil((until - now) / 1000));
  return (
    <>
      <Button
        label={trans.__('Retry')}
        onClick={onRetry}
        blocked={wait > 0 ? trans.__('A limit is reached') : null}
        testid="error-retry"
      />
      {wait > 0 && (
        <span role="timer" data-testid="error-wait">
          {trans.__('%1 left', formatElapsed(wait * 1000))}
        </span>
      )}
    </>
  );
}

/** Stands where each view would show the same error while the person is signed out, and until they try again. */
function SignInNote({ onRetry }: { onRetry?: () => void }): React.JSX.Element {
  const { trans, commands } = useStudio();
  const { signedOut } = useAccess();
  return (
    <div className="devstudio-Note devstudio-Row" data-testid={signedOut ? 'signed-out' : 'signed-in-again'}>
      <span>
        {signedOut
          ? trans.__('You are signed out. Open DevStudio again in another tab.')
          : trans.__('You are signed in again.')}
      </span>
      {signedOut ? (
        <Button
          label={trans.__('Try again')}
          testid="sign-in-again"
          onClick={() => void commands.execute(CommandIds.signInAgain)}
        />
      ) : (
        onRetry !== undefined && <Button label={trans.__('Retry')} testid="error-retry" onClick={onRetry} />
      )}
    </div>
  );
}

/** The title and cause to show; an unreachable server cannot explain itself. */
function wordsOf(error: ProblemError, trans: TranslationBundle): [string, string] {
  return error.status === 0 && error.problem.type.endsWith('Unreachable')
    ? [
        trans.__('The server cannot be reached'),
        trans.__('Check that you are online and that the Jupyter server runs. What you typed is kept here.')
      ]
    : [error.title, error.detail];
}

/** Nothing is here yet, and the one thing to do about it. */
export function Empty(props: { text: string; children?: React.ReactNode }): React.JSX.Element {
  return (
    <div className="devstudio-Empty">
      <p>{props.text}</p>
      {props.children}
    </div>
  );
}

export function Spinner(): React.JSX.Element {
  return <span className="devstudio-Spinner" aria-hidden="true" />;
}

/** A small label with a meaning in its colour and in its words. */
export function Chip(props: {
  tone: 'neutral' | 'info' | 'good' | 'warn' | 'bad';
  children: React.ReactNode;
  title?: string;
  testid?: string;
  /** The server's word for what the chip says, for those who read the page by machine. */
  status?: string;
}): React.JSX.Element {
  return (
    <span
      className={`devstudio-Chip devstudio-mod-${props.tone}`}
      title={props.title}
      data-testid={props.testid}
      data-status={props.status}
    >
      {props.children}
    </span>
  );
}

/** A hash in short, which copies itself in full. */
export function Hash(props: { value: string; label: string; testid?: string }): React.JSX.Element {
  const { trans } = useStudio();
  const [copied, setCopied] = React.useState(false);
  return (
    <button
      type="button"
      className="devstudio-Hash"
      data-testid={props.testid}
      data-value={props.value}
      title={trans.__('%1: %2. Click to copy.', props.label, props.value)}
      aria-label={trans.__('Copy %1 %2', props.label, props.value)}
      onClick={() => {
        Clipboard.copyToSystem(props.value);
        setCopied(true);
      }}
      onBlur={() => {
        setCopied(false);
      }}
    >
      {copied ? trans.__('copied') : short(props.value)}
    </button>
  );
}

/** The name that people read for a model; offline is never called an AI. */
export function modelName(provider: string, name: string, trans: TranslationBundle): string {
  return provider === 'offline' ? trans.__('Offline templates (no AI)') : name;
}

/** A choice of model; empty means the server's default. */
export function ModelSelect(props: {
  models: readonly AiModel[];
  value: string;
  onChange: (id: string) => void;
  testid: string;
}): React.JSX.Element {
  const { trans } = useStudio();
  return (
    <label className="devstudio-Field">
      <span>{trans.__('Model')}</span>
      <select
        className="jp-mod-styled"
        data-testid={props.testid}
        value={props.value}
        onChange={event => {
          props.onChange(event.target.value);
        }}
      >
        {props.models.map(model => (
          <option key={model.id} value={model.id}>
            {modelName(model.provider, model.name, trans)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What a call used and cost. */
export function UsageLine(props: { usage: Usage; testid?: string }): React.JSX.Element {
  const { trans, locale } = useStudio();
  const { usage } = props;
  const text =
    usage.provider === 'offline'
      ? trans.__('Made from offline templates: no AI, no tokens, %1', formatCost(0, locale))
      : trans.__(
          '%1 · %2 tokens in, %3 out · %4',
          usage.model,
          usage.tokens_input.toLocaleString(locale),
          usage.tokens_output.toLocaleString(locale),
          formatCost(usage.cost_estimated, locale)
        );
  return (
    <p className="devstudio-Faint" data-testid={props.testid}>
      {text}
    </p>
  );
}

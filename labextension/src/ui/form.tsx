import { ReactWidget } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';
import { asProblem, type ProblemError } from '@renum/devstudio-api-client';
import * as React from 'react';

import type { IDevStudio } from '../tokens';
import { ErrorBox } from './common';
import { StudioProvider, useStudio } from './context';
import { formatSize } from './format';

/** One field of a form; its name is the server's, so that a refusal finds it. */
export interface IField {
  name: string;
  label: string;
  /** `check` is ticked or empty (`true` or nothing); `checks` are the values of those that are ticked, one a line. */
  kind: 'text' | 'textarea' | 'select' | 'number' | 'check' | 'checks';
  value?: string;
  options?: readonly { value: string; label: string }[];
  required?: boolean;
  maxLength?: number;
  /** The step of a number; any when absent. */
  step?: number;
  hint?: string;
  /** Whether a `textarea` can be filled with the text of a file; the largest that is read, in bytes. */
  fileUpTo?: number;
}

export type Values = Record<string, string>;

interface IFormOptions<T> {
  title: string;
  submitLabel: string;
  fields: readonly IField[];
  submit: (values: Values) => Promise<T>;
  /** Why nothing can be changed; then the form only shows. */
  readOnly?: string;
}

/** Ask by a dialog that stays open, with everything typed, until the server has taken it. Null when cancelled. */
export function openForm<T>(studio: IDevStudio, options: IFormOptions<T>): Promise<T | null> {
  return new Promise(resolve => {
    const widget = ReactWidget.create(
      <StudioProvider value={studio}>
        <FormDialog
          {...options}
          onClose={result => {
            resolve(result);
            widget.dispose();
          }}
        />
      </StudioProvider>
    );
    Widget.attach(widget, document.body);
  });
}

function FormDialog<T>(props: IFormOptions<T> & { onClose: (result: T | null) => void }): React.JSX.Element {
  const { trans } = useStudio();
  const dialog = React.useRef<HTMLDialogElement>(null);
  const [values, setValues] = React.useState<Values>(() =>
    Object.fromEntries(props.fields.map(field => [field.name, field.value ?? firstOf(field)]))
  );
  const [busy, setBusy] = React.useState(false);
  const [missing, setMissing] = React.useState<ReadonlySet<string>>(new Set());
  const [error, setError] = React.useState<ProblemError | null>(null);

  React.useEffect(() => {
    const node = dialog.current;
    node?.showModal();
    node?.querySelector<HTMLElement>('[aria-required="true"]')?.focus(); // what is chosen already can wait
  }, []);

  const close = (result: T | null): void => {
    dialog.current?.close(); // gives the focus back to where it was
    props.onClose(result);
  };

  const submit = async (): Promise<void> => {
    const empty = props.fields.filter(field => field.required === true && values[field.name]?.trim() === '');
    setMissing(new Set(empty.map(field => field.name)));
    if (busy || empty.length > 0 || props.readOnly !== undefined) {
      return;
    }
    setBusy(true);
    setError(null);
    try {
      close(await props.submit(values));
    } catch (reason) {
      setError(asProblem(reason));
      setBusy(false);
    }
  };

  const messageOf = (name: string): string | null =>
    missing.has(name) ? trans.__('This is needed.') : (error?.fields.get(name) ?? null);
  const unplaced = error !== null && !props.fields.some(field => error.fields.has(field.name));

  return (
    <dialog
      ref={dialog}
      className="devstudio-Dialog"
      aria-label={props.title}
      onCancel={event => {
        event.preventDefault();
        close(null);
      }}
    >
      <form
        noValidate
        onSubmit={event => {
          event.preventDefault();
          void submit();
        }}
        onKeyDown={event => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            void submit();
          }
        }}
      >
        <h2>{props.title}</h2>
        {props.readOnly !== undefined && (
          <p className="devstudio-Note" data-testid="dialog-read-only">
            {props.readOnly}
          </p>
        )}
        {props.fields.map(field => (
          <Field
            key={field.name}
            field={field}
            value={values[field.name] ?? ''}
            error={messageOf(field.name)}
            readOnly={props.readOnly !== undefined}
            onChange={value => {
              setValues({ ...values, [field.name]: value });
            }}
          />
        ))}
        {unplaced && <ErrorBox error={error} />}
        <footer className="devstudio-Row">
          <button
            type="button"
            className="devstudio-Button devstudio-mod-plain"
            data-testid="dialog-cancel"
            onClick={() => {
              close(null);
            }}
          >
            {props.readOnly === undefined ? trans.__('Cancel') : trans.__('Close')}
          </button>
          {props.readOnly === undefined && (
            <button
              type="submit"
              className="devstudio-Button devstudio-mod-primary"
              data-testid="dialog-submit"
              aria-disabled={busy}
            >
              {busy ? trans.__('Working…') : props.submitLabel}
            </button>
          )}
        </footer>
      </form>
    </dialog>
  );
}

interface IFieldProps {
  field: IField;
  value: string;
  error: string | null;
  readOnly: boolean;
  onChange: (value: string) => void;
}

function Field({ field, value, error, readOnly, onChange }: IFieldProps): React.JSX.Element {
  const errorId = React.useId();
  const shared = {
    'data-testid': `field-${field.name}`,
    'aria-invalid': error !== null,
    'aria-describedby': error === null ? undefined : errorId,
    'aria-required': field.required ?? false,
    className: 'jp-mod-styled',
    disabled: readOnly && field.kind === 'select',
    readOnly: readOnly && field.kind !== 'select',
    name: field.name,
    value,
    onChange: (event: { target: { value: string } }) => {
      onChange(event.target.value);
    }
  };
  if (field.kind === 'check' || field.kind === 'checks') {
    return <Checks field={field} value={value} error={error} readOnly={readOnly} onChange={onChange} />;
  }
  return (
    <label className="devstudio-Field">
      <span>{field.label}</span>
      {field.kind === 'text' && <input type="text" autoComplete="off" maxLength={field.maxLength} {...shared} />}
      {field.kind === 'number' && <input type="number" autoComplete="off" min={0} step={field.step ?? 'any'} {...shared} />}
      {field.kind === 'textarea' && <textarea rows={field.fileUpTo === undefined ? 3 : 8} maxLength={field.maxLength} {...shared} />}
      {field.kind === 'select' && (
        <select {...shared}>
          {field.options?.map(option => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
      {field.fileUpTo !== undefined && !readOnly && (
        <FileChoice name={field.name} label={field.label} upTo={field.fileUpTo} onText={onChange} />
      )}
      {field.hint !== undefined && <small>{field.hint}</small>}
      {error !== null && (
        <small id={errorId} className="devstudio-FieldError" role="alert" data-testid={`field-error-${field.name}`}>
          {error}
        </small>
      )}
    </label>
  );
}

/** Fills a field with what a file holds, byte for byte; what is no text is refused. */
function FileChoice(props: {
  name: string;
  label: string;
  upTo: number;
  onText: (text: string) => void;
}): React.JSX.Element {
  const { trans } = useStudio();
  const [problem, setProblem] = React.useState('');
  const read = async (file: File | undefined): Promise<void> => {
    if (file === undefined) {
      return;
    }
    if (file.size > props.upTo) {
      setProblem(trans.__('%1 has %2; at most %3 are taken', file.name, formatSize(file.size), formatSize(props.upTo)));
      return;
    }
    try {
      const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
      props.onText(decoder.decode(await file.arrayBuffer()));
      setProblem('');
    } catch {
      setProblem(trans.__('%1 is no text in UTF-8', file.name));
    }
  };
  return (
    <>
      <input
        type="file"
        data-testid={`field-file-${props.name}`}
        aria-label={trans.__('%1 from a file', props.label)}
        onChange={event => void read(event.target.files?.[0])}
      />
      {problem !== '' && (
        <small className="devstudio-FieldError" role="alert">
          {problem}
        </small>
      )}
    </>
  );
}

/** What a field starts with when nothing is said: a choice of one has to be something. */
function firstOf(field: IField): string {
  return field.kind === 'select' ? (field.options?.[0]?.value ?? '') : '';
}

/** One box to tick, or several of which any may be ticked. */
function Checks({ field, value, error, readOnly, onChange }: IFieldProps): React.JSX.Element {
  const errorId = React.useId();
  const hintId = React.useId();
  const options = field.options ?? [{ value: 'true', label: field.label }];
  const chosen = value.split('\n').filter(each => each !== '');
  const boxes = options.map(option => (
    <label key={option.value} className="devstudio-Check">
      <input
        type="checkbox"
        data-testid={field.kind === 'check' ? `field-${field.name}` : `field-${field.name}-${option.value}`}
        name={field.name}
        disabled={readOnly}
        checked={chosen.includes(option.value)}
        aria-invalid={error !== null}
        aria-describedby={[error === null ? '' : errorId, field.hint === undefined ? '' : hintId].join(' ').trim() || undefined}
        onChange={event => {
          const others = chosen.filter(each => each !== option.value);
          onChange((event.target.checked ? [...others, option.value] : others).join('\n'));
        }}
      />
      <span>{option.label}</span>
    </label>
  ));
  return (
    <fieldset className="devstudio-Field" aria-label={field.label}>
      {field.kind === 'checks' && <span aria-hidden="true">{field.label}</span>}
      <div className="devstudio-Checks">{boxes}</div>
      {field.hint !== undefined && <small id={hintId}>{field.hint}</small>}
      {error !== null && (
        <small id={errorId} className="devstudio-FieldError" role="alert" data-testid={`field-error-${field.name}`}>
          {error}
        </small>
      )}
    </fieldset>
  );
}

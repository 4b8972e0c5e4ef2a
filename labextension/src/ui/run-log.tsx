import { Clipboard } from '@jupyterlab/apputils';
import * as React from 'react';

import { spansOf, type IStyle } from '../model/ansi';
import { firstFault, rowsWith, type ILogRow } from '../model/log';
import type { RunModel } from '../model/run';
import { Button } from './common';
import { useStudio } from './context';
import { formatSize } from './format';

/** The height of a row in pixels; `.devstudio-LogRow` has the same. */
const ROW = 18;
/** Rows above and below what is seen that are there, too. */
const BEYOND = 60;
/** A shorter log is there as a whole, so that the browser's own search finds everything. */
const WHOLE = 500;
const SEARCH_MS = 200;

/** The log: colours, times, streams; it follows its end until someone scrolls up. */
export function LogPane({ model }: { model: RunModel }): React.JSX.Element {
  const { trans } = useStudio();
  const search = React.useRef<HTMLInputElement>(null);
  const [times, setTimes] = React.useState(false);
  const [query, setQuery] = React.useState('');
  const [current, setCurrent] = React.useState<number | null>(null);
  const [copied, setCopied] = React.useState(false);
  const { rows, dropped, truncatedBytes } = model.log;
  const view = useView(rows.length, model.logRevision);
  const { pane } = view;
  const { matches, look } = useMatches(model, query);
  const at = current === null ? -1 : matches.indexOf(current);

  const show = (row: number | undefined): void => {
    if (row !== undefined) {
      setCurrent(row);
      view.reveal(row);
    }
  };
  const step = (by: 1 | -1): void => {
    const found = look();
    const from = current ?? (by > 0 ? -1 : rows.length);
    const next = by > 0 ? found.find(row => row > from) : found.findLast(row => row < from);
    show(next ?? (by > 0 ? found[0] : found.at(-1)));
  };
  const fault = model.active ? null : firstFaultOf(model);
  const save = async (): Promise<void> => {
    const blob = await model.download(null);
    if (blob !== null) {
      saveBlob(blob, `run-${model.id}.log`);
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.key === '/' && event.target !== search.current) {
      event.preventDefault();
      search.current?.focus();
    }
  };

  return (
    <section className="devstudio-LogBox" aria-label={trans.__('Log')} onKeyDown={onKeyDown}>
      <div className="devstudio-Row devstudio-LogTools">
        <input
          ref={search}
          type="search"
          className="jp-mod-styled"
          data-testid="log-search"
          placeholder={trans.__('Search ( / )')}
          aria-label={trans.__('Search the log')}
          value={query}
          onChange={event => {
            setQuery(event.target.value);
            setCurrent(null);
          }}
          onKeyDown={event => {
            if (event.key === 'Enter') {
              event.preventDefault();
              step(event.shiftKey ? -1 : 1);
            } else if (event.key === 'Escape') {
              setQuery('');
              pane.current?.focus();
            }
          }}
        />
        {query !== '' && (
          <>
            <span role="status" data-testid="log-matches">
              {matches.length === 0
                ? trans.__('Nothing found')
                : at < 0
                  ? trans._n('%1 line', '%1 lines', matches.length)
                  : trans.__('%1 of %2', at + 1, matches.length)}
            </span>
            <Button label="↑" name={trans.__('Previous match')} testid="log-previous" onClick={() => { step(-1); }} />
            <Button label="↓" name={trans.__('Next match')} testid="log-next" onClick={() => { step(1); }} />
          </>
        )}
        <Button
          label={trans.__('First error')}
          testid="log-first-error"
          blocked={fault === null ? trans.__('No line tells of an error') : null}
          onClick={() => { show(fault ?? undefined); }}
        />
        <label className="devstudio-Toggle">
          <input
            type="checkbox"
            data-testid="log-times"
            checked={times}
            onChange={event => { setTimes(event.target.checked); }}
          />
          {trans.__('Times')}
        </label>
        <Button
          label={copied ? trans.__('Copied') : trans.__('Copy')}
          title={trans.__('Copy the log without colours')}
          testid="log-copy"
          onClick={() => {
            Clipboard.copyToSystem(model.log.plain);
            setCopied(true);
          }}
        />
        <Button label={trans.__('Download')} testid="log-download" onClick={() => void save()} />
      </div>
      {dropped > 0 && (
        <p className="devstudio-Note">{trans.__('The first %1 lines are not shown; the download has them.', dropped)}</p>
      )}
      {truncatedBytes > 0 && (
        <p className="devstudio-Note" data-testid="log-truncated">
          {trans.__('Cut: the run wrote %1 more than one run may log.', formatSize(truncatedBytes))}
        </p>
      )}
      <div
        ref={pane}
        className={`devstudio-Log${times ? ' devstudio-mod-times' : ''}`}
        data-testid="run-log"
        role="log"
        aria-live="off"
        aria-label={trans.__('Log')}
        tabIndex={0}
        onScroll={view.onScroll}
        onKeyDown={view.onKeyDown}
      >
        <div className="devstudio-LogRows" style={{ height: rows.length * ROW }}>
          <div style={{ transform: `translateY(${String(view.from * ROW)}px)` }}>
            {rows.slice(view.from, view.to).map((row, number) => (
              <LogRow
                key={view.from + number}
                text={row.text}
                row={row}
                times={times}
                query={query}
                current={view.from + number === current}
              />
            ))}
          </div>
        </div>
        {rows.length === 0 && (
          <span className="devstudio-Faint">
            {model.active ? trans.__('Waiting for the first line…') : trans.__('This run wrote nothing.')}
          </span>
        )}
      </div>
      <div className="devstudio-Row devstudio-LogFoot" role="status">
        {model.reconnecting && <span>{trans.__('Connection lost; resuming…')}</span>}
        {!view.following && (
          <Button label={trans.__('Follow the end')} testid="run-follow" onClick={view.follow} />
        )}
      </div>
    </section>
  );
}

/** Give the browser a file. */
export function saveBlob(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 60_000);
}

function firstFaultOf(model: RunModel): number | null {
  const known = faults.get(model);
  if (known?.revision === model.logRevision) {
    return known.row;
  }
  const row = firstFault(model.log.rows);
  faults.set(model, { revision: model.logRevision, row });
  return row;
}

/** Looked for once in each state of a log: it may have hundreds of thousands of lines. */
const faults = new WeakMap<RunModel, { revision: number; row: number | null }>();

interface IMatches {
  matches: readonly number[];
  /** Look now, for who does not wait. */
  look: () => readonly number[];
}

/** The rows that have the text; looked for when nobody typed, and nothing came, for a moment. */
function useMatches(model: RunModel, query: string): IMatches {
  const [found, setFound] = React.useState({ query: '', rows: [] as readonly number[] });
  const { logRevision } = model;
  React.useEffect(() => {
    const timer = setTimeout(() => {
      setFound({ query, rows: rowsWith(model.log.rows, query) });
    }, SEARCH_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [model, query, logRevision]);
  const look = (): readonly number[] => {
    if (found.query === query) {
      return found.rows;
    }
    const rows = rowsWith(model.log.rows, query);
    setFound({ query, rows });
    return rows;
  };
  return { matches: found.query === query ? found.rows : [], look };
}

interface IView {
  pane: React.RefObject<HTMLDivElement>;
  from: number;
  to: number;
  following: boolean;
  follow: () => void;
  reveal: (row: number) => void;
  onScroll: (event: React.UIEvent<HTMLElement>) => void;
  onKeyDown: (event: React.KeyboardEvent<HTMLElement>) => void;
}

/** Which rows are to be drawn, and whether the end is followed. */
function useView(count: number, revision: number): IView {
  const pane = React.useRef<HTMLDivElement>(null);
  const [place, setPlace] = React.useState({ top: 0, height: 600 });
  const [following, setFollowing] = React.useState(true);
  const last = React.useRef({ top: 0, height: 0, width: 0 });

  React.useLayoutEffect(() => {
    const node = pane.current;
    if (node === null) {
      return undefined;
    }
    const settle = (): void => {
      if (following) {
        node.scrollTop = node.scrollHeight;
      }
      setPlace({ top: node.scrollTop, height: node.clientHeight });
    };
    settle();
    const observer = new ResizeObserver(settle); // the report beside the log makes it narrower
    observer.observe(node);
    return () => {
      observer.disconnect();
    };
  }, [count, revision, following]);

  const whole = count <= WHOLE;
  const first = Math.floor(place.top / ROW);
  return {
    pane,
    from: whole ? 0 : Math.max(0, Math.min(first, count) - BEYOND),
    to: whole ? count : Math.min(count, first + Math.ceil(place.height / ROW) + BEYOND),
    following,
    follow: () => {
      setFollowing(true);
    },
    reveal: row => {
      const node = pane.current;
      if (node !== null) {
        setFollowing(false);
        node.scrollTop = Math.max(0, row * ROW - node.clientHeight / 2);
        setPlace({ top: node.scrollTop, height: node.clientHeight });
      }
    },
    onScroll: event => {
      const node = event.currentTarget;
      const now = { top: node.scrollTop, height: node.scrollHeight, width: node.clientWidth };
      const { top, height, width } = last.current;
      last.current = now;
      setPlace({ top: now.top, height: node.clientHeight });
      if (now.height - now.top - node.clientHeight < 24) {
        setFollowing(true);
      } else if (now.top < top && now.height === height && now.width === width) {
        setFollowing(false); // a person moved up; a new layout moves too, but is no wish
      }
    },
    onKeyDown: event => {
      const node = event.currentTarget;
      if (event.key === 'Home' || event.key === 'End') {
        event.preventDefault();
        setFollowing(event.key === 'End');
        node.scrollTop = event.key === 'End' ? node.scrollHeight : 0;
      }
    }
  };
}

interface IRowProps {
  row: ILogRow;
  /** The row's text when it was drawn: an open line grows. */
  text: string;
  times: boolean;
  query: string;
  current: boolean;
}

/** A row; only one that changed is drawn again. */
const LogRow = React.memo(function LogRow({ row, text, times, query, current }: IRowProps): React.JSX.Element {
  const { trans } = useStudio();
  const marks = { stdout: '', stderr: trans.__('err'), system: trans.__('info') };
  return (
    <div
      className={`devstudio-LogRow devstudio-mod-${row.stream}${current ? ' devstudio-mod-current' : ''}`}
      data-stream={row.stream}
    >
      <span className="devstudio-LogMark" title={row.stream} data-mark={marks[row.stream]} />
      {times && <time dateTime={row.at}>{timeOf(row.at)}</time>}
      <span className="devstudio-LogText">
        {spansOf(text, row.style).map((span, at) => (
          <span key={at} className={classOf(span.style)}>
            <Found text={span.text} query={query} />
          </span>
        ))}
      </span>
    </div>
  );
});

function timeOf(at: string): string {
  const date = new Date(at);
  return `${date.toLocaleTimeString(undefined, { hour12: false })}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** The class of a style; `undefined` for plain text. */
function classOf(style: IStyle): string | undefined {
  const names = [
    style.fg === null ? '' : `devstudio-fg-${String(style.fg % 8)}`,
    style.bg === null ? '' : `devstudio-bg-${String(style.bg % 8)}`,
    style.bold ? 'devstudio-mod-bold' : '',
    style.faint ? 'devstudio-mod-faint' : '',
    style.italic ? 'devstudio-mod-italic' : '',
    style.underline ? 'devstudio-mod-underline' : ''
  ].filter(name => name !== '');
  return names.length === 0 ? undefined : names.join(' ');
}

/** A text with what was searched for marked. */
function Found({ text, query }: { text: string; query: string }): React.JSX.Element {
  if (query === '') {
    return <>{text}</>;
  }
  const parts: React.ReactNode[] = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(query.toLowerCase()); at >= 0; at = lower.indexOf(query.toLowerCase(), from)) {
    parts.push(text.slice(from, at), <mark key={at}>{text.slice(at, at + query.length)}</mark>);
    from = at + query.length;
  }
  parts.push(text.slice(from));
  return <>{parts}</>;
}

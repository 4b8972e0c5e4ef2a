/** Seconds as `m:ss`, or `12 s` below a minute. */
export function formatElapsed(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 60
    ? `${String(seconds)} s`
    : `${String(Math.floor(seconds / 60))}:${String(seconds % 60).padStart(2, '0')}`;
}

/** US dollars as the language writes numbers; small amounts keep the digits that tell them from nothing. */
export function formatCost(dollars: number, locale?: string): string {
  const digits = dollars === 0 || Math.abs(dollars) >= 0.01 ? 2 : 5;
  const number = dollars.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `US$\u00a0${number}`;
}

/** The tag of JupyterLab's language, as the browser's formatters take it; undefined for the browser's own language. */
export function localeOf(languageCode: string): string | undefined {
  const tag = languageCode.replace('_', '-');
  return tag === '' || tag === 'default' || Intl.NumberFormat.supportedLocalesOf([tag]).length === 0 ? undefined : tag;
}

/** The start of a commit or digest, long enough to recognise it. */
export function short(hash: string): string {
  return hash.replace(/^sha256:/, '').slice(0, 10);
}

/** A size in bytes, as people read it. */
export function formatSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? String(Math.round(size)) : size.toFixed(1)} ${units[unit] ?? ''}`;
}

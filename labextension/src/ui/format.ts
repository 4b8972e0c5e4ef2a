/** Seconds as `m:ss`, or `12 s` below a minute. */
export function formatElapsed(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 60
    ? `${String(seconds)} s`
    : `${String(Math.floor(seconds / 60))}:${String(seconds % 60).padStart(2, '0')}`;
}

/** US dollars; small amounts keep the digits that tell them from nothing. */
export function formatCost(dollars: number): string {
  const digits = dollars === 0 || dollars >= 0.01 ? 2 : 5;
  return `US$\u00a0${dollars.toFixed(digits)}`;
}

/** The start of a commit or digest, long enough to recognise it. */
export function short(hash: string): string {
  return hash.replace(/^sha256:/, '').slice(0, 10);
}

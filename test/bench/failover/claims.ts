/** What is known of one candidate at one moment, on the machine's monotonic clock. */
export interface Report {
  readonly candidate: string;
  readonly atMs: number;
  /** When it was asked, where it does not say so by itself. */
  readonly askedAtMs?: number;
  /** `leads`, `follows`: what it says of itself. The others: what became of its process; its end counts as `stopped`. */
  readonly kind: 'leads' | 'follows' | 'started' | 'stopped' | 'woken';
}

/** A time throughout which a candidate believed that it leads, and was free to act upon it. */
export interface Claim {
  readonly candidate: string;
  readonly fromMs: number;
  readonly toMs: number;
}

interface Belief {
  fromMs: number | null;
  toMs: number;
  stopped: boolean;
  stoppedAtMs: number;
  wokenAtMs: number | null;
}

/**
 * The claims that the reports prove: from the first `leads` to the last one before anything else. A process that wakes and
 * says `leads` before it says otherwise has believed so since it woke. What a stopped process is said to say does not
 * count, nor an answer after the stop to a question before it: it may have been decided before it, too.
 */
export function claimsOf(reports: readonly Report[]): Claim[] {
  const claims: Claim[] = [];
  const beliefs = new Map<string, Belief>();
  const close = (candidate: string, belief: Belief): void => {
    if (belief.fromMs !== null) claims.push({ candidate, fromMs: belief.fromMs, toMs: belief.toMs });
    belief.fromMs = null;
    belief.wokenAtMs = null;
  };
  for (const { candidate, atMs, askedAtMs, kind } of reports.toSorted((a, b) => a.atMs - b.atMs)) {
    const belief = beliefs.get(candidate) ?? {
      fromMs: null,
      toMs: 0,
      stopped: false,
      stoppedAtMs: -Infinity,
      wokenAtMs: null,
    };
    beliefs.set(candidate, belief);
    if (kind === 'stopped') {
      close(candidate, belief);
      belief.stopped = true;
      belief.stoppedAtMs = atMs;
    } else if (kind === 'woken' || kind === 'started') {
      belief.stopped = false;
      belief.wokenAtMs = kind === 'woken' ? atMs : null;
    } else if (belief.stopped || (askedAtMs !== undefined && askedAtMs <= belief.stoppedAtMs)) {
      continue;
    } else if (kind === 'follows') {
      close(candidate, belief);
    } else {
      belief.fromMs ??= belief.wokenAtMs ?? atMs;
      belief.toMs = atMs;
      belief.wokenAtMs = null;
    }
  }
  for (const [candidate, belief] of beliefs) close(candidate, belief);
  return claims;
}

/** For how long, in sum, two candidates or more claimed to lead at once. */
export function overlapMs(claims: readonly Claim[]): number {
  const edges = claims
    .flatMap(({ fromMs, toMs }) => [
      { atMs: fromMs, step: 1 },
      { atMs: toMs, step: -1 },
    ])
    .toSorted((a, b) => a.atMs - b.atMs);
  let [sumMs, leading, sinceMs] = [0, 0, 0];
  for (const { atMs, step } of edges) {
    if (leading >= 2) sumMs += atMs - sinceMs;
    leading += step;
    sinceMs = atMs;
  }
  return sumMs;
}

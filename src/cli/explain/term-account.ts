import { z } from 'zod';
import type { historyAnswer } from '../../http/answers.ts';
import { QuartermasterError } from '../../core/problem.ts';

/** Rows as `/v1/history` has them, the newest first. */
export type HistoryRows = z.output<typeof historyAnswer>['history'];

const moment = z.string().nullish().catch(null);

/** What a record says; others write it, so nothing in it is relied on. */
const record = z.object({
  resourceManagerId: z.string().nullish().catch(null),
  leaderSessionId: z.string().nullish().catch(null),
  confirmedAt: moment,
  neverConfirmed: z.boolean().catch(false),
  ended: z
    .object({
      at: moment,
      reason: z.string().nullish().catch(null),
      evidence: z.string().nullish().catch(null),
      by: z.string().nullish().catch(null),
      lastServingAt: moment,
    })
    .nullish()
    .catch(null),
});

/** One term of office, read. Times are ISO 8601 by the clock of whoever wrote them. */
export interface Term {
  readonly term: string;
  readonly generation: number;
  readonly epoch: string;
  readonly resourceManagerId: string | null;
  readonly leaderSessionId: string | null;
  readonly confirmedAt: string | null;
  /** Removed from the head of the line before it led. */
  readonly neverConfirmed: boolean;
  readonly ended: {
    readonly at: string | null;
    readonly reason: string | null;
    readonly evidence: string | null;
    readonly by: string | null;
    /** When whoever deposed it had last seen it serve. */
    readonly lastServingAt: string | null;
  } | null;
  readonly createRevision: string;
  readonly modRevision: string;
}

/** How long nobody led between two terms. `ms` is null when `unknownBecause` says why. */
export interface Gap {
  readonly ms: number | null;
  /** Counted from when the earlier one was last seen to serve: it may have led for a little longer. */
  readonly asSeen: boolean;
  readonly unknownBecause: 'no-end-recorded' | 'ended-by-the-confirm' | 'clocks-differ' | 'no-times' | null;
}

/** A term with its neighbours that were confirmed, and how long nobody led between them. */
export interface TermAccount {
  readonly term: Term;
  readonly ledForMs: number | null;
  /** The end is only known to be no later: the successor's confirm wrote it down. */
  readonly ledAtMost: boolean;
  readonly before: { readonly term: Term; readonly leaderless: Gap } | null;
  /** Heads of the line between the one before and this one that were removed unconfirmed, oldest first. */
  readonly neverConfirmedBefore: readonly Term[];
  readonly after: { readonly term: Term; readonly leaderless: Gap } | null;
}

/** The parts of `[GENERATION-]EPOCH`, the generation null where it is left out; throws `INVALID` for anything else. */
export function parseTermName(name: string): { readonly generation: number | null; readonly epoch: bigint } {
  const [, generation, epoch] = /^(?:(\d{1,10})-)?(\d{1,19})$/.exec(name) ?? [];
  if (epoch !== undefined) {
    return { generation: generation === undefined ? null : Number(generation), epoch: BigInt(epoch) };
  }
  const detail = `A term is called EPOCH or GENERATION-EPOCH, such as 7 or 1-7, but not ${JSON.stringify(name)}.`;
  throw new QuartermasterError({ code: 'INVALID', detail });
}

/**
 * The term of that name among these. Throws `INVALID` for a name that is none or that names several terms,
 * `NOT_FOUND` when there is none.
 */
export function accountOf(rows: HistoryRows, name: string): TermAccount {
  const { generation, epoch } = parseTermName(name);
  const terms = rows.map(readTerm);
  const found = terms.filter(
    (term) => BigInt(term.epoch) === epoch && (generation === null || term.generation === generation),
  );
  const [term] = found;
  if (term === undefined) throw new QuartermasterError({ code: 'NOT_FOUND', detail: notFound(terms, name) });
  if (found.length > 1) {
    const names = found.map((each) => each.term).join(', ');
    const detail = `Epoch ${epoch} was in several generations: ${names}. Say which.`;
    throw new QuartermasterError({ code: 'INVALID', detail });
  }
  return account(terms, term);
}

function account(terms: readonly Term[], term: Term): TermAccount {
  const index = terms.indexOf(term);
  const later = terms.slice(0, index).findLast((each) => !each.neverConfirmed) ?? null;
  const earlier = terms.slice(index + 1);
  const previous = earlier.findIndex((each) => !each.neverConfirmed);
  const before = earlier[previous] ?? null;
  const between = before === null ? earlier : earlier.slice(0, previous);
  const next = later === null ? null : { term: later, leaderless: gapBetween(term, later) };
  return {
    term,
    ledForMs: duration(term.confirmedAt, term.ended?.at ?? null),
    ledAtMost: term.ended !== null && next !== null && isClosedBy(next.term, term),
    before: before === null ? null : { term: before, leaderless: gapBetween(before, term) },
    neverConfirmedBefore: between.toReversed(),
    after: next,
  };
}

/** The time from the end of one term to the confirm of the next one. */
function gapBetween(earlier: Term, later: Term): Gap {
  const unknown = (unknownBecause: Gap['unknownBecause']): Gap => ({
    ms: null,
    asSeen: false,
    unknownBecause,
  });
  if (earlier.ended === null) return unknown('no-end-recorded');
  const seenMs = duration(earlier.ended.lastServingAt, later.confirmedAt);
  if (seenMs !== null && seenMs >= 0) return { ms: seenMs, asSeen: true, unknownBecause: null };
  // One transaction wrote both: the end it tells is that of its own moment, not of the last sign of life.
  if (isClosedBy(later, earlier)) return unknown('ended-by-the-confirm');
  const ms = duration(earlier.ended.at, later.confirmedAt);
  if (ms === null) return unknown('no-times');
  return ms < 0 ? unknown('clocks-differ') : { ms, asSeen: false, unknownBecause: null };
}

function isClosedBy(later: Term, earlier: Term): boolean {
  return earlier.modRevision === later.createRevision;
}

function duration(from: string | null, to: string | null): number | null {
  const ms = Date.parse(to ?? '') - Date.parse(from ?? '');
  return Number.isNaN(ms) ? null : ms;
}

function readTerm(row: HistoryRows[number]): Term {
  const { generation, epoch, createRevision, modRevision } = row;
  const { resourceManagerId, leaderSessionId, confirmedAt, neverConfirmed, ended } = record.parse(row);
  return {
    term: `${generation}-${epoch}`,
    generation,
    epoch,
    resourceManagerId: resourceManagerId ?? null,
    leaderSessionId: leaderSessionId ?? null,
    confirmedAt: confirmedAt ?? null,
    neverConfirmed,
    ended:
      ended === null || ended === undefined
        ? null
        : {
            at: ended.at ?? null,
            reason: ended.reason ?? null,
            evidence: ended.evidence ?? null,
            by: ended.by ?? null,
            lastServingAt: ended.lastServingAt ?? null,
          },
    createRevision,
    modRevision,
  };
}

function notFound(terms: readonly Term[], name: string): string {
  const [newest, oldest] = [terms[0], terms.at(-1)];
  if (newest === undefined || oldest === undefined) {
    return `There is no term ${name}: nobody has led yet.`;
  }
  return `There is no term ${name} among the ${terms.length} in history, from ${oldest.term} to ${newest.term}.`;
}

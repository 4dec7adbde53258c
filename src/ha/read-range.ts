import { QuartermasterError } from '../core/problem.ts';
import type { RangeOperation, RangeResult } from './coordination-store.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';

/** Which range is read, for whom, and for how long at most. */
export interface RangeReading {
  /** For the log. */
  readonly name: string;
  readonly range: RangeOperation;
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads linearizably from whichever endpoint answers first, so that a silent one costs one repetition. Rejects with
 * `UNAVAILABLE` when none has answered within the limit or before the signal was aborted, or the range is refused.
 */
export async function readRange(context: StoreContext, reading: RangeReading): Promise<RangeResult> {
  const { name, range, limitMs, signal } = reading;
  const { clock, timing } = context;
  const late = new AbortController();
  const timer = clock.schedule(limitMs, () => late.abort());
  const ends = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
  const outcome = await sendUntilAnswered(context, (endpoint) => endpoint.range(range, timing.etcdCallMs), {
    name,
    final: ({ kind }) => kind === 'rejected',
    signal: ends,
  });
  timer.cancel();
  if (outcome.kind === 'answered') return outcome.value;
  const cause = outcome.kind === 'refused' ? outcome.error : null;
  const detail = `The store did not answer: ${cause?.message ?? `not within ${limitMs} ms`}`;
  throw new QuartermasterError({ code: 'UNAVAILABLE', detail }, { cause });
}

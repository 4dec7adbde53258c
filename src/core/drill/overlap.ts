import { compareTokens, type FencingToken } from '../fencing-token.ts';

type Term = Pick<FencingToken, 'generation' | 'epoch'>;

/** Something that a leader did and its receiver accepted. */
export interface AcceptedEffect {
  readonly token: Term;
  readonly atWallMs: number;
}

/** A term and when the confirm of it was seen. */
export interface ConfirmedTerm {
  readonly token: Term;
  readonly atWallMs: number;
}

/**
 * How long after a higher term's confirm this effect was accepted; 0 when no higher one was confirmed by then. It is
 * at most as old as that: it may have begun before the confirm and been accepted after it.
 */
export function overlapOf(effect: AcceptedEffect, confirms: readonly ConfirmedTerm[]): number {
  let longest = 0;
  for (const { token, atWallMs } of confirms) {
    if (compareTokens(token, effect.token) > 0) longest = Math.max(longest, effect.atWallMs - atWallMs);
  }
  return longest;
}

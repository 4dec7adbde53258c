import type { LeaderSessionId } from './ids.ts';

/**
 * Identity of one leader's term, carried by every command it gives.
 *
 * `epoch` is the `create_revision` of the leader's candidate key in etcd, so it grows from leader to
 * leader; `generation` grows when an operator declares that etcd was wiped or restored.
 */
export interface FencingToken {
  readonly generation: number;
  readonly epoch: bigint;
  readonly leaderSessionId: LeaderSessionId;
}

/** Negative, zero or positive as `a` is lower than, equal to or higher than `b`: generation first, then epoch. */
export function compareTokens(
  a: Pick<FencingToken, 'generation' | 'epoch'>,
  b: Pick<FencingToken, 'generation' | 'epoch'>,
): number {
  if (a.generation !== b.generation) return a.generation - b.generation;
  return a.epoch < b.epoch ? -1 : a.epoch > b.epoch ? 1 : 0;
}

/** Whether both name the same term; two session ids of one epoch are two different terms. */
export function sameToken(a: FencingToken, b: FencingToken): boolean {
  return compareTokens(a, b) === 0 && a.leaderSessionId === b.leaderSessionId;
}

/**
 * Whether a receiver that has accepted `highest` may obey `offered` (guarantee G2): never a lower token,
 * never the same epoch under another session id.
 */
export function mayObey(highest: FencingToken | null, offered: FencingToken): boolean {
  if (highest === null) return true;
  const order = compareTokens(offered, highest);
  return order > 0 || (order === 0 && offered.leaderSessionId === highest.leaderSessionId);
}

/** `generation-epoch`, as people see it in commands and logs. */
export function formatToken(token: Pick<FencingToken, 'generation' | 'epoch'>): string {
  return `${token.generation}-${token.epoch}`;
}

import type { Report } from './claims.ts';

/** Something that a leader did and that had effect: whom it concerned has accepted it. */
export interface Effect {
  /** Create revision of the leader's candidate key. */
  readonly epoch: bigint;
  readonly atMs: number;
}

/** How a change of leader looks to those who take orders. */
export interface Orders {
  /** When the first effect of the new leader came; null when there was none. */
  readonly firstAtMs: number | null;
  readonly accepted: number;
  /** Of a leader before the new one, accepted after etcd had shown the new one. */
  readonly late: number;
}

/** Judges the effects around a change of leader to that epoch, which etcd showed at `inEtcdAtMs`. */
export function ordersOf(effects: readonly Effect[], epoch: bigint, inEtcdAtMs: number): Orders {
  const first = effects
    .filter((effect) => effect.epoch === epoch)
    .reduce((least, { atMs }) => Math.min(least, atMs), Infinity);
  return {
    firstAtMs: first === Infinity ? null : first,
    accepted: effects.length,
    late: effects.filter((effect) => effect.epoch < epoch && effect.atMs > inEtcdAtMs).length,
  };
}

/** Where nobody fences, each time that a candidate says that it leads is an effect: whoever reads it takes it. */
export function effectsOfClaims(
  reports: readonly Report[],
  old: { readonly candidate: string; readonly epoch: bigint },
  successorEpoch: bigint,
): Effect[] {
  return reports
    .filter(({ kind }) => kind === 'leads')
    .map(({ candidate, atMs }) => ({
      epoch: candidate === old.candidate ? old.epoch : successorEpoch,
      atMs,
    }));
}

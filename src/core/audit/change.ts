import type { ConfirmedTerms } from './confirmed-terms.ts';
import { isOf, type KeyOf, type StandingKeys } from './standing-keys.ts';
import type { StoreWrite, WrittenKey } from './store-writes.ts';
import type { Guarantee, Violation } from './violation.ts';

/** All that one revision changed, and what stood before it. */
export class Change {
  readonly revision: bigint;
  readonly receivedWallMs: number;
  readonly writes: readonly StoreWrite[];
  readonly before: StandingKeys;
  readonly terms: ConfirmedTerms;
  readonly violations: Violation[] = [];
  readonly puts: readonly WrittenKey[];

  constructor(writes: readonly StoreWrite[], before: StandingKeys, terms: ConfirmedTerms) {
    this.writes = writes;
    this.revision = writes[0]?.revision ?? 0n;
    this.receivedWallMs = writes[0]?.receivedWallMs ?? 0;
    this.before = before;
    this.terms = terms;
    this.puts = writes.flatMap(({ put }) => put ?? []);
  }

  /** The leader record that it writes. */
  get record(): KeyOf<'leader'> | undefined {
    return this.puts.find((put): put is KeyOf<'leader'> => isOf(put, 'leader'));
  }

  deletes(key: string): boolean {
    return this.writes.some((write) => write.key === key && write.put === null);
  }

  /** Candidate keys that stood and that it deletes, the head of the line first. */
  get removed(): KeyOf<'candidate'>[] {
    return this.before.line.filter(({ key }) => this.deletes(key));
  }

  /** Candidate keys that stood and go on to stand. */
  get staying(): KeyOf<'candidate'>[] {
    return this.before.line.filter(({ key }) => !this.deletes(key));
  }

  /** Whether an operator declares in it that etcd was wiped or restored. */
  get isNewGeneration(): boolean {
    return !this.before.empty && this.puts.some((put) => isOf(put, 'identity'));
  }

  found(
    guarantee: Guarantee,
    rule: string,
    detail: string,
    keys: readonly string[],
    revisions: readonly bigint[] = [],
  ): void {
    const all = [this.revision, ...revisions];
    this.violations.push({ guarantee, rule, detail, keys, revisions: all, places: [] });
  }
}

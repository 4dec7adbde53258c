import type { Problem } from '../core/problem.ts';
import type { ElectionView, Leadership } from '../ha/leader-election.ts';
import { STORE_FULL } from '../ha/store-space.ts';
import type { ResourceManagerOptions } from './resource-manager-options.ts';
import type { LeaderView, Subscription } from './operator-view.ts';

/** What whoever asks for the leader is told when there is none, and why there will be none when that is known. */
export function nobodyLeads(storeFull: boolean): string {
  return storeFull ? `Nobody leads, and ${STORE_FULL.detail}` : 'Nobody leads at the moment.';
}

/** The confirmed leader as this process knows it, and whoever wants to know of each change. */
export class LeaderWatch {
  readonly #own: Pick<ResourceManagerOptions, 'resourceManagerId' | 'address'>;
  readonly #watchers = new Set<(leader: LeaderView | null) => void>();
  #leader: LeaderView | null = null;
  #contradiction: string | null = null;

  constructor(own: Pick<ResourceManagerOptions, 'resourceManagerId' | 'address'>) {
    this.#own = own;
  }

  get leader(): LeaderView | null {
    return this.#leader;
  }

  /** In a sentence, why nothing is confirmed here; null while etcd is believed. */
  get contradiction(): string | null {
    return this.#contradiction;
  }

  /** `whenNone` is the code where nobody leads: operators are told `NO_LEADER`, workers just to look elsewhere. */
  notLeader(whenNone: 'NOT_LEADER' | 'NO_LEADER', storeFull: boolean): Problem {
    if (this.#leader === null) {
      return { code: whenNone, detail: this.#contradiction ?? nobodyLeads(storeFull), leader: null };
    }
    const { resourceManagerId, address } = this.#leader;
    return {
      code: 'NOT_LEADER',
      detail: `${resourceManagerId} leads, at ${address}.`,
      leader: { resourceManagerId, address },
    };
  }

  /** As `ResourceManagerView.watchLeader`. */
  watch(onChange: (leader: LeaderView | null) => void): Subscription {
    onChange(this.#leader);
    this.#watchers.add(onChange);
    return { cancel: () => this.#watchers.delete(onChange) };
  }

  /** Takes in what the election knows; `leadership` is this process's own term, null when it has none. True at a change. */
  update(view: ElectionView, leadership: Leadership | null): boolean {
    const { contradiction: why } = view;
    this.#contradiction = why === null ? null : sentenceOf(why);
    const next = this.#judge(view, leadership);
    const before = this.#leader;
    if (before?.epoch === next?.epoch && before?.leaderSessionId === next?.leaderSessionId) return false;
    this.#leader = next;
    for (const watcher of this.#watchers) watcher(next);
    return true;
  }

  #judge({ leader }: ElectionView, leadership: Leadership | null): LeaderView | null {
    if (leadership !== null) return { ...this.#own, ...leadership.token };
    // A record of our own without a term is one that is on its way out, or not known to have committed.
    if (leader === null || leader.resourceManagerId === this.#own.resourceManagerId) return null;
    const { resourceManagerId, address, token } = leader;
    return { resourceManagerId, address, ...token };
  }
}

function sentenceOf(why: string): string {
  return (
    `Nothing is confirmed here, because etcd was wiped or restored: ${why}. ` +
    'Once it is known which data etcd should hold, `quartermaster new-generation` tells what to do.'
  );
}

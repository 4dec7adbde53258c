import { compareCommandNumbers, type CommandNumber } from '../command-number.ts';
import { formatToken, mayObey, sameToken, type FencingToken } from '../fencing-token.ts';
import type { ClusterId, InstanceId } from '../ids.ts';
import type { RequestBody } from '../messages/catalogue.ts';
import type { Problem } from '../problem.ts';

/** What the gate made of a leader's announcement. */
export type OfferVerdict =
  | { readonly kind: 'adopted'; readonly clusterLearned: boolean }
  /** The token was the highest already; `clusterLearned`: the cluster id was news. */
  | { readonly kind: 'known'; readonly clusterLearned: boolean }
  | { readonly kind: 'fenced'; readonly highest: FencingToken }
  | { readonly kind: 'wrongCluster'; readonly known: ClusterId; readonly offered: ClusterId };

/**
 * Which leader a task executor obeys (guarantee G2): never one below the highest token seen, none before it
 * has acknowledged the registration of this process, and no call whose number is not higher than the last.
 */
export class FencingGate {
  readonly #instanceId: InstanceId;
  #clusterId: ClusterId | null;
  #highestToken: FencingToken | null;
  #lastSeen: CommandNumber | null;
  #obeyed: FencingToken | null = null;

  /** With what the state file remembers. */
  constructor(
    instanceId: InstanceId,
    remembered: {
      readonly clusterId: ClusterId | null;
      readonly highestToken: FencingToken | null;
      readonly lastSeen: CommandNumber | null;
    },
  ) {
    this.#instanceId = instanceId;
    this.#clusterId = remembered.clusterId;
    this.#highestToken = remembered.highestToken;
    this.#lastSeen = remembered.lastSeen;
  }

  get clusterId(): ClusterId | null {
    return this.#clusterId;
  }

  get highestToken(): FencingToken | null {
    return this.#highestToken;
  }

  get lastSeen(): CommandNumber | null {
    return this.#lastSeen;
  }

  /** Whether that token is the highest seen. */
  isHighest(token: FencingToken): boolean {
    return this.#highestToken !== null && sameToken(this.#highestToken, token);
  }

  /** Takes a higher token of the same cluster. */
  offer(token: FencingToken, clusterId: ClusterId | null): OfferVerdict {
    const known = this.#clusterId;
    if (clusterId !== null && known !== null && clusterId !== known) {
      return { kind: 'wrongCluster', known, offered: clusterId };
    }
    const highest = this.#highestToken;
    if (highest !== null && !mayObey(highest, token)) return { kind: 'fenced', highest };
    this.#clusterId = known ?? clusterId;
    if (this.isHighest(token)) return { kind: 'known', clusterLearned: known === null && clusterId !== null };
    this.#highestToken = token;
    return { kind: 'adopted', clusterLearned: known === null && clusterId !== null };
  }

  /** The leader of that token has acknowledged this process. False when a higher one has been seen since. */
  acknowledge(token: FencingToken): boolean {
    if (!this.isHighest(token)) return false;
    this.#obeyed = token;
    return true;
  }

  /** Why nothing of this call may be executed; null when it may be, and then its number is the last seen. */
  admit({ token, instanceId, number }: RequestBody<'executeSlotCommands'>): Problem | null {
    const highest = this.#highestToken;
    if (highest !== null && !mayObey(highest, token)) {
      return {
        code: 'FENCED',
        detail: `The leader of ${formatToken(highest)} has been seen, the call is of ${formatToken(token)}.`,
        token: highest,
      };
    }
    if (instanceId !== this.#instanceId) {
      return { code: 'UNKNOWN_TASK_EXECUTOR', detail: 'The call is meant for another process of this name.' };
    }
    if (this.#obeyed === null || !sameToken(this.#obeyed, token)) {
      return {
        code: 'UNKNOWN_TASK_EXECUTOR',
        detail: `The leader of ${formatToken(token)} has not acknowledged the registration of this process.`,
      };
    }
    if (number.generation !== token.generation || number.epoch !== token.epoch) {
      const detail = 'The number of the call is of another term than its token.';
      return { code: 'INVALID', detail, fields: [{ field: 'number', detail }] };
    }
    const last = this.#lastSeen;
    if (last !== null && compareCommandNumbers(number, last) <= 0) {
      return {
        code: 'STALE',
        detail: `The last call seen is ${formatNumber(last)}, this one is ${formatNumber(number)}.`,
      };
    }
    this.#lastSeen = number;
    return null;
  }
}

function formatNumber({ generation, epoch, n }: CommandNumber): string {
  return `${generation}-${epoch}-${n}`;
}

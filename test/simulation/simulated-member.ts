import { StoreError } from '../../src/ha/coordination-store.ts';
import type { InMemoryEtcd } from '../../src/ha/embedded/in-memory-etcd.ts';
import type { MemberBehaviour, MemberCall } from '../../src/ha/embedded/member-behaviour.ts';
import type { StoreState } from '../../src/ha/embedded/store-state.ts';
import type { Clock } from '../../src/runtime/clock.ts';

/**
 * `up`; `down`: its process is gone; `silent`: stopped, its connections stand but nobody answers; `cut-off`: reaches
 * its clients, but no other member.
 */
export type MemberCondition = 'up' | 'down' | 'silent' | 'cut-off';

/** What a rule does with a call instead of the usual; the member it came to is given for a later `proceed`. */
export type CallRule = (call: MemberCall, member: SimulatedMember) => 'usual' | 'taken';

/** `calls` go from a client to a member, `answers` and what watches tell from a member to a client. */
export type Way = 'calls' | 'answers';

/** What one member takes from the cluster that it is in. */
export interface MemberSurroundings {
  readonly clock: Clock;
  readonly etcd: () => InMemoryEtcd;
  readonly hasQuorum: () => boolean;
  readonly isBlocked: (client: string, member: string, way: Way) => boolean;
  readonly applyRules: CallRule;
}

/** A member without a leader ends its watches after three election timeouts, a client a silent one after a ping. */
const NO_LEADER_MS = 3_000;
const PING_LOSS_MS = 6_000;

/** One member of a `SimulatedEtcd`, with its faults. */
export class SimulatedMember implements MemberBehaviour {
  readonly name: string;
  /** One way between a client and this member. */
  latencyMs: () => number;
  #condition: MemberCondition = 'up';
  /** By how much watches are late, by client; '' stands for all. */
  readonly #watchDelays = new Map<string, number>();
  /** Answers that came from a store that had lost touch with the others. */
  staleAnswers = 0;
  readonly #surroundings: MemberSurroundings;
  /** Counts the processes of this member: what was under way in an older one is lost. */
  #incarnation = 0;
  #stale: StoreState | null = null;
  #waitingCalls: MemberCall[] = [];
  #waitingMessages: (() => void)[] = [];

  constructor(name: string, latencyMs: () => number, surroundings: MemberSurroundings) {
    this.name = name;
    this.latencyMs = latencyMs;
    this.#surroundings = surroundings;
  }

  get condition(): MemberCondition {
    return this.#condition;
  }

  /** The state from before it lost touch with the others; null while it keeps up. */
  get staleState(): StoreState | null {
    return this.#stale;
  }

  /** To be followed by `adjust` on all members, as the quorum may have changed. */
  setCondition(condition: MemberCondition): void {
    if (condition === this.#condition) return;
    this.#condition = condition;
    if (condition === 'down') {
      this.#incarnation += 1;
      this.#waitingCalls = [];
      this.#loseWatches('Connection dropped', 0, () => true);
    }
    if (condition === 'silent') {
      this.#loseWatches('Connection dropped', PING_LOSS_MS, () => this.#condition === 'silent');
    }
  }

  /** Takes note of whether there is a quorum that this member belongs to. */
  adjust(): void {
    const inTouch = this.#condition === 'up' && this.#surroundings.hasQuorum();
    if (!inTouch) {
      if (this.#stale === null) {
        this.#stale = this.#surroundings.etcd().state.copy();
        this.#loseWatches('etcdserver: no leader', NO_LEADER_MS, () => this.#stale !== null);
      }
      return;
    }
    this.#stale = null;
    const calls = this.#waitingCalls;
    const messages = this.#waitingMessages;
    this.#waitingCalls = [];
    this.#waitingMessages = [];
    for (const call of calls) this.#arrive(call, this.#incarnation);
    for (const message of messages) this.#surroundings.clock.schedule(0, message);
  }

  delayWatches(byMs: number, client = ''): void {
    this.#watchDelays.set(client, byMs);
  }

  handle(call: MemberCall): void {
    if (this.#surroundings.applyRules(call, this) === 'usual') this.proceed(call);
  }

  /** Handles a call as this member does without a rule. */
  proceed(call: MemberCall): void {
    const incarnation = this.#incarnation;
    this.#surroundings.clock.schedule(this.latencyMs(), () => this.#arrive(call, incarnation));
  }

  carry(client: string, deliver: () => void): void {
    const lateMs = (this.#watchDelays.get(client) ?? 0) + (this.#watchDelays.get('') ?? 0);
    this.#surroundings.clock.schedule(this.latencyMs() + lateMs, () => {
      if (this.#condition === 'down') this.#loseWatches('connect ECONNREFUSED', 0, () => true);
      // A blocked client's watches are lost sooner or later, and with them everything that is on its way.
      else if (this.#surroundings.isBlocked(client, this.name, 'answers')) return;
      else if (this.#stale !== null) this.#waitingMessages.push(deliver);
      else deliver();
    });
  }

  #arrive(call: MemberCall, incarnation: number): void {
    if (this.#surroundings.isBlocked(call.client, this.name, 'calls')) return;
    if (incarnation !== this.#incarnation) return call.fail(connectionDropped());
    if (this.#condition === 'down') return call.fail(new StoreError('not-sent', 'connect ECONNREFUSED'));
    if (this.#stale === null) {
      call.apply();
      this.#answer(call, incarnation);
    } else if (this.#condition !== 'silent' && comparesOnly(call)) {
      this.staleAnswers += 1;
      call.apply(this.#stale);
      this.#answer(call, incarnation);
    } else if (this.#condition !== 'cut-off') {
      // A stopped process reads it when it goes on; one that waits for a quorum proposes it then.
      this.#waitingCalls.push(call);
    }
  }

  #answer(call: MemberCall, incarnation: number): void {
    this.#surroundings.clock.schedule(this.latencyMs(), () => {
      if (this.#surroundings.isBlocked(call.client, this.name, 'answers')) return;
      if (incarnation === this.#incarnation) call.answer();
      else call.fail(connectionDropped());
    });
  }

  #loseWatches(detail: string, delayMs: number, still: () => boolean): void {
    this.#surroundings.clock.schedule(delayMs, () => {
      if (still()) this.#surroundings.etcd().dropWatches(this.name, { kind: 'lost', detail });
    });
  }
}

function connectionDropped(): StoreError {
  return new StoreError('unknown-outcome', 'Connection dropped');
}

/** etcd asks no other member about a transaction without operations. */
function comparesOnly(call: MemberCall): boolean {
  if (call.request.method !== 'transact') return false;
  const { success, failure } = call.request.transaction;
  return success.length === 0 && failure.length === 0;
}

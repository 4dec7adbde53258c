import { type CoordinationStore, type KeyValue, StoreError } from '../../src/ha/coordination-store.ts';
import { InMemoryEtcd } from '../../src/ha/embedded/in-memory-etcd.ts';
import type { MemberCall, StoreRequest } from '../../src/ha/embedded/member-behaviour.ts';
import type { Commit } from '../../src/ha/embedded/mvcc-state.ts';
import type { StoreState } from '../../src/ha/embedded/store-state.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { type CallRule, type MemberCondition, SimulatedMember, type Way } from './simulated-member.ts';

export interface SimulatedEtcdOptions {
  readonly clock: Clock;
  /** `etcd-1` to `etcd-3` at first. */
  readonly memberNames?: readonly string[];
  readonly minTtlSeconds?: number;
  /** One way between a client and a member, asked anew for each message; 1 ms at first. */
  readonly latencyMs?: () => number;
}

/** A commit, and when it was made by the time of day. */
export type TimedCommit = Commit & { readonly wallMs: number };

/** What stood in the data directories, and every commit since. */
export interface Era {
  readonly base: { readonly revision: bigint; readonly keys: readonly KeyValue[] };
  readonly commits: readonly TimedCommit[];
}

/** Which calls a fault is meant for; without a field it does not matter. */
export interface CallFilter {
  readonly client?: string;
  readonly member?: string;
  readonly method?: StoreRequest['method'];
  readonly where?: (request: StoreRequest) => boolean;
  /** Is told when a call has fitted. */
  readonly onStruck?: () => void;
}

/** A call that a member holds back. */
export interface HeldCall {
  /** Whether a call that fits has come. */
  readonly arrived: boolean;
  /** Commits it now, unanswered. Harmless when nothing has come or it has been committed before. */
  commit(): void;
}

/** An etcd of several members in virtual time, with faults at will. Its quorum follows from its members' conditions. */
export class SimulatedEtcd {
  /** All that was ever committed, one era after the other: each begins with new data directories. */
  readonly eras: Era[] = [];
  /** Is told each commit after the watches; must not change anything in that turn. */
  onCommit: (commit: Commit) => void = () => {};
  /** Is told with what etcd begins when it begins with other data than it had. */
  onEra: (base: Era['base']) => void = () => {};
  readonly #clock: Clock;
  readonly #etcd: InMemoryEtcd;
  readonly #members = new Map<string, SimulatedMember>();
  readonly #blocked = new Set<string>();
  #rules: { readonly filter: CallFilter; readonly rule: CallRule }[] = [];

  constructor(options: SimulatedEtcdOptions) {
    this.#clock = options.clock;
    const latencyMs = options.latencyMs ?? (() => 1);
    for (const name of options.memberNames ?? ['etcd-1', 'etcd-2', 'etcd-3']) {
      const member = new SimulatedMember(name, latencyMs, {
        clock: options.clock,
        etcd: () => this.#etcd,
        hasQuorum: () => this.hasQuorum,
        isBlocked: (client, at, way) => this.#blocked.has(`${client}|${at}|${way}`),
        applyRules: (call, at) => this.#applyRules(call, at),
      });
      this.#members.set(name, member);
    }
    this.#etcd = new InMemoryEtcd({
      clock: options.clock,
      members: Object.fromEntries(this.#members),
      ...(options.minTtlSeconds !== undefined && { minTtlSeconds: options.minTtlSeconds }),
    });
    this.#recordCommits();
  }

  /** Notes every commit from now on, whatever is compacted later. */
  #recordCommits(): void {
    const { mvcc } = this.state;
    const { keyValues: keys } = mvcc.range({ type: 'range', key: '', prefix: true });
    const commits: TimedCommit[] = [];
    this.eras.push({ base: { revision: mvcc.revision, keys }, commits });
    const tellWatches = mvcc.onCommit;
    mvcc.onCommit = (commit) => {
      commits.push({ ...commit, wallMs: this.#clock.wallMs() });
      tellWatches(commit);
      this.onCommit(commit);
    };
  }

  /** What the members agree on; to look at, and to change as an operator would. */
  get state(): StoreState {
    return this.#etcd.state;
  }

  get memberNames(): string[] {
    return [...this.#members.keys()];
  }

  get hasQuorum(): boolean {
    const up = [...this.#members.values()].filter((member) => member.condition === 'up');
    return up.length > this.#members.size / 2;
  }

  /** A store for one client, over all members or over those named. */
  connect(client: string, memberNames?: string[]): CoordinationStore {
    return this.#etcd.connect(client, memberNames);
  }

  member(name: string): SimulatedMember {
    const member = this.#members.get(name);
    if (member === undefined) throw new RangeError(`There is no member ${name}.`);
    return member;
  }

  /** While fewer than half are up nothing commits and no lease runs out; afterwards each lease has its full time. */
  setCondition(name: string, condition: MemberCondition): void {
    const hadQuorum = this.hasQuorum;
    this.member(name).setCondition(condition);
    this.#etcd.leasesRunOut = this.hasQuorum;
    if (!hadQuorum && this.hasQuorum) this.changeLeader();
    for (const member of this.#members.values()) member.adjust();
  }

  /** Every lease has its full time again, as after each change of etcd's own leader. */
  changeLeader(): void {
    this.state.extendLeases(this.#clock.monotonicMs());
  }

  /** All members stop, as in a power loss. */
  shutDown(): void {
    for (const name of this.memberNames) this.setCondition(name, 'down');
  }

  /** What `etcdctl snapshot save` would keep. */
  snapshot(): StoreState {
    return this.state.copy();
  }

  /** All members start again after `shutDown`: with that snapshot, or with empty data directories when it is null. */
  startWith(snapshot: StoreState | null): void {
    this.#etcd.restore(snapshot);
    this.#recordCommits();
    const era = this.eras.at(-1);
    if (era !== undefined) this.onEra(era.base);
    for (const name of this.memberNames) this.setCondition(name, 'up');
  }

  /** Nothing passes between this client and this member, or any, that way, until `unblock`; watches on it end after a while. */
  block(client: string, memberName?: string, ways: readonly Way[] = ['calls', 'answers']): void {
    for (const name of memberName === undefined ? this.memberNames : [memberName]) {
      for (const way of ways) this.#blocked.add(`${client}|${name}|${way}`);
      this.#clock.schedule(6_000, () => {
        if (ways.some((way) => this.#blocked.has(`${client}|${name}|${way}`)))
          this.#etcd.dropWatches(name, PING_LOST, client);
      });
    }
  }

  /** What was on its way over a blocked link does not come any more, and its watches are lost. */
  unblock(client: string): void {
    for (const name of this.memberNames) {
      const calls = this.#blocked.delete(`${client}|${name}|calls`);
      const answers = this.#blocked.delete(`${client}|${name}|answers`);
      if (calls || answers) this.#etcd.dropWatches(name, PING_LOST, client);
    }
  }

  /** The next call that fits is applied, but its answer is lost: the caller runs into its deadline. `onWrote`: it has written. */
  loseAnswer(filter: CallFilter = {}, onWrote: () => void = () => {}): void {
    this.#rules.push({
      filter,
      rule: (call, member) => {
        const apply = this.#inThisEra(() => {
          const { revision } = this.state.mvcc;
          call.apply();
          if (this.state.mvcc.revision > revision) onWrote();
        });
        this.#clock.schedule(member.latencyMs(), apply);
        return 'taken';
      },
    });
  }

  /** The next call that fits is lost before it is applied: the caller runs into its deadline. */
  loseCall(filter: CallFilter = {}): void {
    this.#rules.push({ filter, rule: () => 'taken' });
  }

  /** The next call that fits is applied as usual, and its answer takes this much longer, whatever befalls its client meanwhile. */
  delayAnswer(delayMs: number, filter: CallFilter = {}): void {
    this.#rules.push({
      filter,
      rule: (call, member) => {
        const answer = this.#inThisEra(() => call.answer());
        this.#clock.schedule(
          member.latencyMs(),
          this.#inThisEra(() => {
            call.apply();
            this.#clock.schedule(delayMs, answer);
          }),
        );
        return 'taken';
      },
    });
  }

  /** The next call that fits takes this much longer to arrive; it may commit after its caller has given up. */
  delayCall(delayMs: number, filter: CallFilter = {}): void {
    this.#rules.push({
      filter,
      rule: (call, member) => {
        this.#clock.schedule(
          delayMs,
          this.#inThisEra(() => member.proceed(call)),
        );
        return 'taken';
      },
    });
  }

  /** The next call that fits stays at its member, unanswered, until the test commits it. */
  holdBack(filter: CallFilter = {}): HeldCall {
    let held: (() => void) | null = null;
    let arrived = false;
    this.#rules.push({
      filter,
      rule: (call) => {
        held = this.#inThisEra(() => call.apply());
        arrived = true;
        return 'taken';
      },
    });
    return {
      get arrived() {
        return arrived;
      },
      commit: () => {
        held?.();
        held = null;
      },
    };
  }

  /** Messages of watches take this much longer from now on, for one client or for all. */
  delayWatches(byMs: number, client?: string): void {
    for (const member of this.#members.values()) member.delayWatches(byMs, client);
  }

  /** The next call of that client to each member is refused for its token, and its watches with it. */
  expireToken(client: string, onStruck: () => void = () => {}): void {
    for (const member of this.memberNames) {
      this.#rules.push({
        filter: { client, member, onStruck },
        rule: (call, at) => {
          this.#clock.schedule(2 * at.latencyMs(), () =>
            call.fail(new StoreError('not-sent', 'etcdserver: the token is stale')),
          );
          return 'taken';
        },
      });
      this.#etcd.dropWatches(member, { kind: 'refused', detail: 'etcdserver: invalid auth token' }, client);
    }
  }

  /** Until it is taken back, puts and grants fail as over a full database. */
  setFull(full: boolean): void {
    this.state.noSpace = full;
  }

  /** What was sent to members that have other data by now came to processes that are gone. */
  #inThisEra(work: () => void): () => void {
    const era = this.eras.length;
    return () => {
      if (era === this.eras.length) work();
    };
  }

  /** Rules that no call has fitted yet are forgotten. */
  forgetRules(): void {
    this.#rules = [];
  }

  /** Ends watches without a reason that the client could have foreseen. */
  dropWatches(client?: string): void {
    for (const name of this.memberNames) {
      this.#etcd.dropWatches(name, { kind: 'lost', detail: 'dropped by the simulator' }, client);
    }
  }

  /** Compacts the history, up to now unless a revision is given. */
  compact(revision = this.state.mvcc.revision): void {
    if (revision > this.state.mvcc.compactedRevision) this.state.mvcc.compact(revision);
  }

  /** As `etcdctl lease revoke`, or as etcd itself when it lets a lease end too early. */
  revokeLease(leaseId: bigint): void {
    this.state.revokeLease(leaseId);
  }

  /** As `etcdctl del`. */
  deleteKey(key: string): void {
    this.state.transact({ compare: [], success: [{ type: 'delete', key }], failure: [] });
  }

  /** As `etcdctl put`. */
  putKey(key: string, value: string): void {
    this.state.transact({ compare: [], success: [{ type: 'put', key, value }], failure: [] });
  }

  #applyRules(call: MemberCall, member: SimulatedMember): 'usual' | 'taken' {
    const index = this.#rules.findIndex(({ filter }) => fits(filter, call, member.name));
    const found = this.#rules[index];
    if (found === undefined) return 'usual';
    this.#rules = this.#rules.filter((rule) => rule !== found);
    found.filter.onStruck?.();
    return found.rule(call, member);
  }
}

const PING_LOST = { kind: 'lost', detail: 'Connection dropped' } as const;

function fits(filter: CallFilter, call: MemberCall, memberName: string): boolean {
  return (
    (filter.client === undefined || filter.client === call.client) &&
    (filter.member === undefined || filter.member === memberName) &&
    (filter.method === undefined || filter.method === call.request.method) &&
    (filter.where === undefined || filter.where(call.request))
  );
}

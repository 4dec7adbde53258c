import type {
  CheckOutcome,
  ElectionEffect,
  ElectionEvent,
  LineEntry,
  Observation,
} from '../../src/core/election/election-events.ts';
import type { Identity } from '../../src/core/election/identity.ts';
import type { FencingToken } from '../../src/core/fencing-token.ts';
import { ElectionMachine } from '../../src/core/election/election-machine.ts';
import type { Instant } from '../../src/core/election/leadership-clock.ts';
import { OWN_VERSIONS } from '../../src/core/messages/protocol-version.ts';
import type { BootNonce, ClusterId, LeaderSessionId, ResourceManagerId } from '../../src/core/ids.ts';

type EffectType = ElectionEffect['type'];
type EffectOf<Type extends EffectType> = Extract<ElectionEffect, { readonly type: Type }>;

export const TTL_MS = 10_000;
const OWN_NONCE = 'boot-rm-1' as BootNonce;
export const CLUSTER: Identity = { clusterId: 'cluster-1' as ClusterId, generation: 1 };

/** A candidate's entry in a line; without a name a foreign key's. */
export function entry(key: string, createRevision: bigint, name?: string, spoken = OWN_VERSIONS): LineEntry {
  if (name === undefined) return { key, createRevision, candidate: null };
  const resourceManagerId = name as ResourceManagerId;
  const bootNonce = `boot-${name}` as BootNonce;
  const candidate = { resourceManagerId, address: `${name}:7000`, bootNonce, version: '0.1.0', ...spoken };
  return { key, createRevision, candidate };
}

/** An election machine, its two clocks, and an etcd that is played by the test. */
export class ElectionRig {
  readonly machine = new ElectionMachine(
    {
      leaseTtlMs: TTL_MS,
      leadershipCheckMs: 125,
      servingDeadlineMs: 400,
      etcdResendMs: 100,
      retryMs: 1_000,
      rejoinMs: 150,
      silenceMs: 250,
      challengeWaitMs: 500,
    },
    OWN_NONCE,
  );
  /** Every effect since the last `forget`. */
  effects: ElectionEffect[] = [];
  nowMs = 1_000;
  wallMs = 5_000_000;
  /** Number of the latest candidacy. */
  candidacy = 0;
  /** Create revision of the latest candidacy's key. */
  epoch = 0n;
  /** Of the last observation. */
  revision = 50n;
  /** Token that the leader record names in what is observed. */
  leader: FencingToken | null = null;
  /** How many listings have been answered: each observation is one. */
  listing = 0;
  /** Whether keepalives and checks are answered at once. */
  etcdAnswers = true;

  get now(): Instant {
    return { monotonicMs: this.nowMs, wallMs: this.wallMs };
  }

  get key(): string {
    return `key-${this.candidacy}`;
  }

  get session(): LeaderSessionId {
    return `session-${this.candidacy}` as LeaderSessionId;
  }

  get serving(): boolean {
    return this.machine.mayServe(this.candidacy, this.nowMs, this.wallMs);
  }

  send(event: ElectionEvent): ElectionEffect[] {
    const effects = this.machine.handle(event, this.nowMs, this.wallMs);
    this.effects.push(...effects);
    for (const effect of effects) {
      if (effect.type === 'openCandidacy') {
        this.candidacy = effect.candidacy;
        this.epoch = this.revision + 10n;
        this.send({
          type: 'candidacyOpened',
          candidacy: effect.candidacy,
          key: this.key,
          leaderSessionId: this.session,
        });
      }
      if (this.etcdAnswers) this.#answer(effect);
    }
    return effects;
  }

  /** All effects of this type since the last `forget`. */
  all<Type extends EffectType>(type: Type): EffectOf<Type>[] {
    return this.effects.filter((effect): effect is EffectOf<Type> => effect.type === type);
  }

  /** The latest effect of this type; fails when there is none. */
  last<Type extends EffectType>(type: Type): EffectOf<Type> {
    const effect = this.all(type).at(-1);
    if (effect === undefined) throw new Error(`no ${type} among ${this.types().join(', ')}`);
    return effect;
  }

  types(): EffectType[] {
    return this.effects.map(({ type }) => type);
  }

  forget(): void {
    this.effects = [];
  }

  /** Moves both clocks on, with a tick whenever the machine wants one. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const dueMs = this.machine.nextDueMs();
      if (dueMs > endMs) break;
      this.freeze(Math.max(0.5, dueMs - this.nowMs));
      this.send({ type: 'tick' });
    }
    if (endMs > this.nowMs) this.freeze(endMs - this.nowMs);
  }

  /** Moves both clocks on without a turn, as when the process is stopped. */
  freeze(ms: number): void {
    this.nowMs += ms;
    this.wallMs += ms;
  }

  observe(
    line: readonly LineEntry[],
    revision = this.revision + 20n,
    identity: Identity | null = CLUSTER,
    fall: Observation['fall'] = null,
  ): void {
    this.revision = revision;
    this.listing += 1;
    const observation = {
      line,
      revision,
      identity,
      identityRevision: revision,
      leader: this.leader,
      etcdRevision: revision,
      listing: this.listing,
      fall,
    };
    this.send({ type: 'observed', observation });
  }

  /** The own entry, as it stands in line. */
  own(): LineEntry {
    return entry(this.key, this.epoch, 'rm-1');
  }

  /** Starts and gets as far as standing in line, behind those given. */
  queue(...ahead: readonly LineEntry[]): void {
    this.send({ type: 'start' });
    this.observe([]);
    this.joinLine(...ahead);
  }

  /** Lets lease and key of the candidacy that has been opened be granted. */
  joinLine(...ahead: readonly LineEntry[]): void {
    const { candidacy } = this;
    this.send({ type: 'leaseGranted', candidacy, ttlMs: TTL_MS, sent: this.now });
    this.send({ type: 'candidateKeyPut', candidacy, createRevision: this.epoch });
    this.observe([...ahead, this.own()]);
  }

  /** Gets as far as the confirm under way. */
  beginConfirm(): void {
    this.queue();
    this.send({ type: 'confirmRequested', leaderSessionId: this.session });
  }

  /** Gets as far as leading. */
  lead(): void {
    this.beginConfirm();
    const outcome = { kind: 'confirmed', sent: this.now } as const;
    this.send({ type: 'confirmAnswered', candidacy: this.candidacy, outcome });
  }

  /** Answers a check as if it had been sent then. */
  answerCheck(check: number, sent: Instant, kind: CheckOutcome['kind'] = 'standing'): void {
    const outcome = kind === 'challenged' ? { kind, askerReaches: 0, ownReaches: 0 } : { kind };
    this.send({ type: 'checkAnswered', candidacy: this.candidacy, check, sent, outcome });
  }

  #answer(effect: ElectionEffect): void {
    const { candidacy, now: sent } = this;
    if (effect.type === 'probe') this.send({ type: 'probed', candidacy, check: effect.check });
    if (effect.type === 'sendCheck') this.answerCheck(effect.check, sent);
    if (effect.type === 'keepAlive') {
      this.send({ type: 'keepAliveAnswered', candidacy, outcome: { kind: 'kept', ttlMs: TTL_MS, sent } });
    }
  }
}

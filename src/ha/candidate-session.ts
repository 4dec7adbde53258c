import { setMaxListeners } from 'node:events';
import type {
  CheckOutcome,
  Deposition,
  ElectionEffect,
  ElectionEvent,
  Ending,
  KeepAliveOutcome,
} from '../core/election/election-events.ts';
import type { Identity } from '../core/election/identity.ts';
import type { LeaderSessionId, ResourceManagerId } from '../core/ids.ts';
import { askerReaches, challengeHead, challengeStands } from './challenge.ts';
import { confirmTerm } from './confirm-term.ts';
import { type StoreEndpoint, StoreError } from './coordination-store.ts';
import { deposeHead } from './depose.ts';
import { type HeadGone, inLine } from './election-observer.ts';
import { formatIdentity, parseIdentity } from './election-records.ts';
import {
  answerChallenge,
  check,
  historyOf,
  putCandidate,
  rangeOf,
  type StandingKey,
} from './election-transactions.ts';
import type { HistoryIndex } from './history.ts';
import type { ClusterKeys } from './keys.ts';
import type { LeaderRecord, Registrations } from './leader-election.ts';
import { leaveLine, revokeLease } from './leave-line.ts';
import { instant, sendUntilAnswered, type StoreContext } from './persistent-call.ts';

/** What all candidacies of one process have in common. */
export interface CandidateSetting {
  readonly context: StoreContext;
  readonly keys: ClusterKeys;
  readonly history: HistoryIndex;
  readonly resourceManagerId: ResourceManagerId;
  readonly address: string;
  /** What stands under the candidate key. */
  readonly value: string;
  /** Takes each answer, in a turn of its own. */
  readonly report: (event: ElectionEvent) => void;
  /** The identity's value as it was last seen, byte for byte; null while there is none. */
  readonly identityValue: () => string | null;
  /** When the process of that boot nonce was last seen to serve, by the wall clock; null when it never was. */
  readonly lastServingMs: (bootNonce: string) => number | null;
  /** Who stood first in line last, if the watch has told of its end. */
  readonly headGone: () => HeadGone | null;
  /** How many task executors the contender is connected to. */
  readonly reachableTaskExecutors: () => number;
}

/** What became of a departure: `done` says whether that is known. */
export type DepartureListener = (done: boolean) => void;

type EffectOf<T extends ElectionEffect['type']> = Extract<ElectionEffect, { readonly type: T }>;

/**
 * The dealings of one candidacy with the store: its lease, its key, its confirm, its checks. A new object for
 * each; its calls end with it, only its departure goes on until it is answered.
 */
export class CandidateSession {
  readonly number: number;
  readonly leaseId: bigint;
  readonly key: string;
  readonly leaderSessionId: LeaderSessionId;
  readonly #setting: CandidateSetting;
  readonly #life = new AbortController();
  #record: LeaderRecord | null = null;
  #confirmed = false;
  #registrations: Registrations | null = null;
  /** Once the key is known to be put. */
  #own: StandingKey | null = null;
  #aheadAtFirst: readonly StandingKey[] = [];
  /** Where the last keepalive failed, and where the last check went while none has been answered since. */
  #keepAliveFailedAt: StoreEndpoint | null = null;
  #checkUnansweredAt: StoreEndpoint | null = null;

  constructor(setting: CandidateSetting, number: number, leaseId: bigint, leaderSessionId: LeaderSessionId) {
    // One listener for each call under way, and many writes may be: no leak.
    setMaxListeners(0, this.#life.signal);
    this.#setting = setting;
    this.number = number;
    this.leaseId = leaseId;
    this.key = setting.keys.candidate(leaseId);
    this.leaderSessionId = leaderSessionId;
  }

  /** What stands under the key. */
  get value(): string {
    return this.#setting.value;
  }

  /** What the confirm has read along; null unless it is confirmed, and perhaps then. */
  get registrations(): Registrations | null {
    return this.#registrations;
  }

  /** Aborted when the candidacy ends. */
  get signal(): AbortSignal {
    return this.#life.signal;
  }

  /** The same lease id each time: a repetition that finds it there knows that an earlier copy was carried out. */
  async grantLease(): Promise<void> {
    const { context } = this.#setting;
    const { leaseTtlSeconds, etcdCallMs } = context.timing;
    let copies = 0;
    const outcome = await sendUntilAnswered(
      context,
      async (endpoint) => {
        copies += 1;
        try {
          return await endpoint.grantLease(this.leaseId, leaseTtlSeconds, etcdCallMs);
        } catch (error) {
          if (!(error instanceof StoreError && error.kind === 'lease-exists') || copies === 1) throw error;
          // What was granted, a keepalive tells; counted from the send of this copy, which was before it.
          return endpoint.keepAlive(this.leaseId, etcdCallMs);
        }
      },
      {
        name: 'grant lease',
        final: ({ kind }) => kind === 'lease-exists' || kind === 'rejected',
        signal: this.signal,
      },
    );
    if (outcome.kind === 'refused') return this.#failed(outcome.error);
    if (outcome.kind === 'abandoned') return;
    const ttlMs = outcome.value.ttlSeconds * 1_000;
    this.#report({ type: 'leaseGranted', candidacy: this.number, ttlMs, sent: outcome.sent });
  }

  /** Creates the key; a repetition finds it there and reads when it was created. */
  async putKey(): Promise<void> {
    const { context, keys, value } = this.#setting;
    const transaction = putCandidate(keys, this.key, value, this.leaseId);
    const outcome = await sendUntilAnswered(
      context,
      (endpoint) => endpoint.transact(transaction, context.timing.etcdCallMs),
      {
        name: 'put candidate key',
        final: ({ kind }) => kind === 'lease-not-found' || kind === 'rejected',
        signal: this.signal,
      },
    );
    if (outcome.kind === 'refused') return this.#failed(outcome.error);
    if (outcome.kind === 'abandoned') return;
    const { succeeded, revision, results } = outcome.value;
    const line = rangeOf(results, 1);
    const [found] = rangeOf(results, 0);
    const createRevision = succeeded ? revision : found?.createRevision;
    const ours = succeeded || (found?.value === value && found.lease === this.leaseId);
    if (createRevision === undefined || !ours) {
      const reason = 'another value stands under the candidate key';
      return this.#report({ type: 'candidacyFailed', candidacy: this.number, reason });
    }
    this.#own = { key: this.key, createRevision };
    this.#aheadAtFirst = inLine(line.filter((each) => each.createRevision < createRevision));
    this.#report({ type: 'candidateKeyPut', candidacy: this.number, createRevision });
    // While it waits, so that little is left to read when its turn has come.
    await this.#setting.history.read(context, keys, this.signal);
  }

  /** One keepalive; after a failure the next one goes to the next endpoint. */
  async keepAlive(timeoutMs: number): Promise<void> {
    const { clock, ring } = this.#setting.context;
    const endpoint = ring.after(this.#keepAliveFailedAt);
    const sent = instant(clock);
    let outcome: KeepAliveOutcome;
    try {
      // A silent endpoint must not use up the lease.
      const limitMs = Math.min(timeoutMs, this.#setting.context.timing.etcdCallMs);
      const { ttlSeconds } = await endpoint.keepAlive(this.leaseId, limitMs);
      this.#keepAliveFailedAt = null;
      outcome = { kind: 'kept', ttlMs: ttlSeconds * 1_000, sent };
    } catch (error) {
      this.#keepAliveFailedAt = endpoint;
      const lost = error instanceof StoreError && error.kind === 'lease-not-found';
      outcome = { kind: lost ? 'lost' : 'failed' };
    }
    this.#report({ type: 'keepAliveAnswered', candidacy: this.number, outcome });
  }

  /** Confirms the term; the same record in each attempt, so that any of them may be the one that commits. */
  async confirm({ token, identity, deposition }: EffectOf<'confirm'>): Promise<void> {
    const { context, keys, resourceManagerId, address } = this.#setting;
    this.#record ??= {
      resourceManagerId,
      address,
      token,
      confirmedAt: new Date(context.clock.wallMs()).toISOString(),
    };
    const term = {
      own: { key: this.key, createRevision: token.epoch },
      leaseId: this.leaseId,
      record: this.#record,
      identity,
      identityValue: this.#identityValue(identity),
      deposition,
      lastServingMs: this.#lastServingMs(deposition),
      aheadAtFirst: this.#aheadAtFirst,
      headGone: this.#setting.headGone(),
    };
    const confirmed = await confirmTerm(context, keys, this.#setting.history, term, this.signal);
    if (confirmed === null || this.signal.aborted) return;
    const { outcome, registrations } = confirmed;
    if (outcome.kind === 'confirmed') this.#confirmed = true;
    this.#registrations = registrations;
    this.#report({ type: 'confirmAnswered', candidacy: this.number, outcome });
  }

  /** One check, sent once; while others are unanswered it goes to the next endpoint. */
  async check({ check: number, token, purpose }: EffectOf<'sendCheck'>): Promise<void> {
    const { context, keys } = this.#setting;
    const own: StandingKey = { key: this.key, createRevision: token.epoch };
    const transaction = purpose === 'look' ? check(keys, own, token) : answerChallenge(keys, own, token);
    const endpoint = context.ring.after(this.#checkUnansweredAt);
    this.#checkUnansweredAt = endpoint;
    const sent = instant(context.clock);
    let outcome: CheckOutcome;
    try {
      const { succeeded, results } = await endpoint.transact(transaction, context.timing.etcdCallMs);
      this.#checkUnansweredAt = null;
      context.ring.prefer(endpoint);
      const [challenge] = succeeded && purpose === 'look' ? rangeOf(results, 0) : [];
      outcome = { kind: succeeded ? 'standing' : 'key-gone' };
      if (challenge !== undefined) {
        const ownReaches = this.#setting.reachableTaskExecutors();
        outcome = { kind: 'challenged', askerReaches: askerReaches(challenge), ownReaches };
      }
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      context.logger.log('debug', 'check failed', { endpoint: endpoint.name, error: detail });
      outcome = { kind: 'failed' };
    }
    this.#report({ type: 'checkAnswered', candidacy: this.number, check: number, sent, outcome });
  }

  /** Asks the head of the line whether it is alive. */
  async challenge({ generation, head, reason }: EffectOf<'putChallenge'>): Promise<void> {
    const own = this.#own;
    if (own === null) return;
    const { context, keys, resourceManagerId } = this.#setting;
    const taskExecutors = this.#setting.reachableTaskExecutors();
    const epoch = head.createRevision;
    const fields = { head: head.candidate?.resourceManagerId, headEpoch: epoch, reason };
    // A full store is to blame, not the head; that has been said.
    context.logger.log(context.space.full ? 'debug' : 'warn', 'challenging the head of the line', fields);
    const challenger = { own, leaseId: this.leaseId, resourceManagerId, taskExecutors };
    const outcome = await challengeHead(context, keys, challenger, { generation, head }, this.signal);
    if (outcome === null || this.signal.aborted) return;
    this.#report({ type: 'challengePut', candidacy: this.number, epoch, outcome });
  }

  /** Looks whether the challenge still stands. */
  async readChallenge({ generation, head, createRevision }: EffectOf<'readChallenge'>): Promise<void> {
    const { context, keys } = this.#setting;
    const key = keys.challenge(generation, head.createRevision);
    const standing = await challengeStands(context, { key, createRevision }, this.signal);
    if (this.signal.aborted) return;
    this.#report({ type: 'challengeRead', candidacy: this.number, createRevision, standing });
  }

  /** Deposes the head of the line for the sake of one who stands between. */
  async depose({ generation, deposition }: EffectOf<'depose'>): Promise<void> {
    const own = this.#own;
    if (own === null) return;
    const { context, keys, history, resourceManagerId: by } = this.#setting;
    const lastServingMs = this.#lastServingMs(deposition);
    const request = { own, by, generation, deposition, lastServingMs };
    const outcome = await deposeHead(context, keys, history, request, this.signal);
    if (outcome === null || this.signal.aborted) return;
    const fields = { outcome, evidence: deposition.evidence };
    // The one whose turn it is was faster: the usual case.
    const level = outcome === 'done' ? 'warn' : 'debug';
    context.logger.log(level, 'deposing the head of the line for another', fields);
    this.#report({ type: 'deposed', candidacy: this.number, outcome });
  }

  /** Ends whatever is under way and gives back key, record and lease; `signal` ends even that. */
  async release(ending: Ending, signal: AbortSignal, onDeparted: DepartureListener): Promise<void> {
    this.#life.abort();
    const { context, keys, resourceManagerId } = this.#setting;
    const at = new Date(context.clock.wallMs()).toISOString();
    const { reason, evidence } = ending;
    const ended = { at, reason, evidence, by: resourceManagerId };
    const ours = this.#confirmed && ending.granted;
    const row = ours && this.#record !== null ? { ...historyOf(this.#record), ended } : null;
    const departure = { key: this.key, ending, row, handOver: ending.handOver };
    onDeparted(await leaveLine(context, keys, departure, signal));
    await revokeLease(context, this.leaseId, signal);
    this.#report({ type: 'released', candidacy: this.number });
  }

  /** As it was last seen, if that is the identity meant: there may be a newer one by now, which must not pass. */
  #identityValue(identity: Identity): string {
    const seen = this.#setting.identityValue();
    const parsed = seen === null ? null : parseIdentity(seen);
    const same = parsed?.clusterId === identity.clusterId && parsed.generation === identity.generation;
    return same && seen !== null ? seen : formatIdentity(identity);
  }

  #lastServingMs(deposition: Deposition | null): number | null {
    const head = deposition?.dead[0]?.candidate ?? null;
    return head === null ? null : this.#setting.lastServingMs(head.bootNonce);
  }

  #report(event: ElectionEvent): void {
    this.#setting.report(event);
  }

  #failed(error: StoreError): void {
    this.#report({ type: 'candidacyFailed', candidacy: this.number, reason: error.message });
  }
}

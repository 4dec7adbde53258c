import { setMaxListeners } from 'node:events';
import type { ElectionEffect, ElectionEvent } from '../core/election/election-events.ts';
import { FOUNDED_GENERATION, type Identity } from '../core/election/identity.ts';
import { ElectionMachine } from '../core/election/election-machine.ts';
import { OWN_VERSIONS } from '../core/messages/protocol-version.ts';
import { LastServing } from '../core/election/last-serving.ts';
import type { PeerSighting } from '../core/election/peer-sighting.ts';
import type { WorkerKnowledge } from '../core/election/worker-witnesses.ts';
import type { BootNonce, ClusterId, LeaderSessionId, ResourceManagerId } from '../core/ids.ts';
import { QuartermasterError, type Problem } from '../core/problem.ts';
import type { Timer } from '../runtime/clock.ts';
import type { Randomness } from '../runtime/randomness.ts';
import { CandidateSession, type CandidateSetting } from './candidate-session.ts';
import { ElectionObserver, type ElectionState } from './election-observer.ts';
import { formatCandidate, parseIdentity } from './election-records.ts';
import { EMPTY_VIEW, sameView, toObservation, toView } from './election-state-view.ts';
import { createIdentity, rangeOf } from './election-transactions.ts';
import { HistoryIndex } from './history.ts';
import type { ClusterKeys } from './keys.ts';
import type {
  ElectionView,
  GenerationPlan,
  LeaderContender,
  LeaderElectionService,
  Resignation,
} from './leader-election.ts';
import { type GenerationKnowledge, GenerationOrder } from './new-generation.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';
import { performInSession } from './session-effects.ts';
import { SpaceWatch } from './space-watch.ts';
import { STORE_FULL } from './store-space.ts';
import { StoreLeadership, type TermOwner } from './store-leadership.ts';

/** Who stands for election. */
export interface CandidateOptions {
  readonly resourceManagerId: ResourceManagerId;
  /** Where workers and peers reach this process, `host:port`. */
  readonly address: string;
  readonly bootNonce: BootNonce;
  /** Of the software. */
  readonly version: string;
  /** After a step-down it joins the line again so late; 150 ms unless given. */
  readonly rejoinMs?: number;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const RETRY_MS = 1_000;
const REJOIN_MS = 150;

/**
 * Carries out what the election's rules decide, over any store. One event at a time: whatever a callback or an
 * answer brings while another event is at work waits for its end.
 */
export class StoreLeaderElection implements LeaderElectionService {
  readonly #context: StoreContext;
  readonly #keys: ClusterKeys;
  readonly #randomness: Randomness;
  readonly #setting: CandidateSetting;
  readonly #machine: ElectionMachine;
  readonly #observer: ElectionObserver;
  readonly #spaceWatch: SpaceWatch;
  readonly #lastServing = new LastServing();
  readonly #tasks: (() => void)[] = [];
  /** Ends what goes on after a candidacy: departures, and the creation of the identity. */
  readonly #life = new AbortController();
  readonly #resignations = new Map<number, Waiting>();
  readonly #stopping: Waiting[] = [];
  readonly #termOwner: TermOwner;
  #contender: LeaderContender | null = null;
  #session: CandidateSession | null = null;
  #view: ElectionView = EMPTY_VIEW;
  /** Epoch of the last leader under whom history was read; null when it has to be read anew. */
  #historyOf: bigint | null = null;
  #working = false;
  #stopped = false;
  #requests = 0;
  #timer: Timer | null = null;
  #timerMs = Infinity;

  constructor(context: StoreContext, keys: ClusterKeys, randomness: Randomness, candidate: CandidateOptions) {
    const { timing } = context;
    setMaxListeners(0, this.#life.signal);
    this.#context = context;
    this.#keys = keys;
    this.#randomness = randomness;
    const { rejoinMs = REJOIN_MS } = candidate;
    const leaseTtlMs = timing.leaseTtlSeconds * 1_000;
    const settings = { ...timing, leaseTtlMs, retryMs: RETRY_MS, rejoinMs };
    this.#machine = new ElectionMachine(settings, candidate.bootNonce);
    this.#termOwner = {
      mayServe: (candidacy) =>
        this.#machine.mayServe(candidacy, context.clock.monotonicMs(), context.clock.wallMs()),
      leads: (candidacy) => this.#machine.leads(candidacy),
      keyFoundGone: (candidacy) =>
        this.#dispatch({ type: 'keyFoundGone', candidacy, how: 'a guarded write found it gone' }),
    };
    this.#observer = new ElectionObserver(context, keys, {
      onState: (state) => this.#observed(state),
      onRestart: () => {
        this.#setting.history.forget();
        this.#historyOf = null;
      },
      onDoubt: () => this.#dispatch({ type: 'storeDoubted' }),
    });
    this.#spaceWatch = new SpaceWatch(context, keys);
    this.#setting = {
      context,
      keys,
      history: new HistoryIndex(),
      resourceManagerId: candidate.resourceManagerId,
      address: candidate.address,
      value: formatCandidate({ ...candidate, ...OWN_VERSIONS }),
      report: (event) => this.#dispatch(event),
      identityValue: () => this.#observer.state?.identity.keyValues[0]?.value ?? null,
      lastServingMs: (bootNonce) => this.#lastServing.of(bootNonce),
      headGone: () => this.#observer.state?.headGone ?? null,
      reachableTaskExecutors: () => this.#contender?.reachableTaskExecutors() ?? 0,
    };
  }

  get view(): ElectionView {
    return this.#view;
  }

  get storeFull(): boolean {
    return this.#context.space.full;
  }

  async whyNotResign(): Promise<Problem | null> {
    switch (await this.#spaceWatch.look()) {
      case 'free':
        return null;
      case 'full':
        return STORE_FULL;
      case 'unknown':
        return { code: 'UNAVAILABLE', detail: 'etcd does not answer, so nobody could be confirmed.' };
    }
  }

  start(contender: LeaderContender): void {
    if (this.#contender !== null) throw new Error('a leader election is started once');
    this.#contender = contender;
    this.#context.clock.schedule(0, () => {
      if (this.#stopped) return;
      this.#enqueue(() => this.#tell((told) => told.viewChanged(this.#view)));
    });
    this.#dispatch({ type: 'start' });
    this.#spaceWatch.start();
  }

  confirmLeaderSessionId(leaderSessionId: LeaderSessionId): void {
    this.#dispatch({ type: 'confirmRequested', leaderSessionId });
  }

  hasLeadership(leaderSessionId: LeaderSessionId): boolean {
    return this.#machine.token?.leaderSessionId === leaderSessionId;
  }

  peerSighted(sighting: PeerSighting): void {
    this.#lastServing.take(sighting, this.#context.clock.wallMs());
    this.#dispatch({ type: 'peerSighted', sighting });
  }

  workerHeard(worker: string, knowledge: WorkerKnowledge | null, name = worker): void {
    this.#dispatch({ type: 'workerHeard', worker, name, knowledge });
    this.#enqueue(() => this.#tellContradiction());
  }

  planGeneration(): Promise<GenerationPlan> {
    return this.#generationOrder().plan(this.#knowledge());
  }

  declareGeneration(generation: number | null): Promise<Identity> {
    const by = this.#setting.resourceManagerId;
    return this.#generationOrder().declare(generation, by, this.#knowledge());
  }

  resign({ reason, to }: Resignation): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = ++this.#requests;
      this.#resignations.set(request, { resolve, reject });
      this.#dispatch({ type: 'resignRequested', request, reason, to: to ?? null });
    });
  }

  stop(reason: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) return resolve();
      this.#stopping.push({ resolve, reject });
      this.#dispatch({ type: 'stopRequested', reason });
    });
  }

  #observed(state: ElectionState): void {
    const observation = toObservation(state);
    this.#dispatch({ type: 'observed', observation });
    const view = toView(state, observation, this.#machine);
    // While there is time, for whoever may have to depose this leader.
    if (view.leader !== null && view.leader.token.epoch !== this.#historyOf) {
      this.#historyOf = view.leader.token.epoch;
      void this.#setting.history.read(this.#context, this.#keys, this.#life.signal);
    }
    if (sameView(view, this.#view)) return;
    this.#view = view;
    this.#enqueue(() => this.#tell((contender) => contender.viewChanged(view)));
  }

  /** The workers may give the store away between two of its changes. */
  #tellContradiction(): void {
    const { contradiction } = this.#machine;
    if (contradiction === this.#view.contradiction) return;
    const leader = contradiction === null ? this.#view.leader : null;
    const view = { ...this.#view, contradiction, leader };
    this.#view = view;
    this.#tell((contender) => contender.viewChanged(view));
  }

  #generationOrder(): GenerationOrder {
    return new GenerationOrder(this.#context, this.#keys, this.#life.signal);
  }

  #knowledge(): GenerationKnowledge {
    const { identity: remembered, contradiction } = this.#machine;
    const witnesses = this.#machine.witnesses(this.#context.clock.monotonicMs());
    const mint = (): ClusterId => this.#randomness.uuid() as ClusterId;
    return { witnesses, remembered, contradiction, mint };
  }

  #dispatch(event: ElectionEvent): void {
    this.#enqueue(() => {
      const { clock } = this.#context;
      for (const effect of this.#machine.handle(event, clock.monotonicMs(), clock.wallMs())) {
        this.#perform(effect);
      }
    });
  }

  /** Runs the task now, or after those at work: no callback of the contender ever runs inside another one. */
  #enqueue(task: () => void): void {
    this.#tasks.push(task);
    if (this.#working) return;
    this.#working = true;
    try {
      for (let next = this.#tasks.shift(); next !== undefined; next = this.#tasks.shift()) next();
    } catch (error) {
      // The rules themselves are broken: nothing may rest on them any more.
      this.#contender?.handleError(toError(error));
    } finally {
      this.#working = false;
    }
    this.#setTimer();
  }

  #setTimer(): void {
    const dueMs = this.#stopped ? Infinity : this.#machine.nextDueMs();
    if (dueMs === this.#timerMs) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#timerMs = dueMs;
    if (dueMs === Infinity) return;
    // At least 1 ms, so that a tick that comes a rounding error early does not spin.
    const delayMs = Math.max(1, dueMs - this.#context.clock.monotonicMs());
    this.#timer = this.#context.clock.schedule(delayMs, () => {
      this.#timerMs = Infinity;
      this.#dispatch({ type: 'tick' });
    });
  }

  #tell(call: (contender: LeaderContender) => void): void {
    const contender = this.#contender;
    if (contender === null) return;
    try {
      call(contender);
    } catch (error) {
      contender.handleError(toError(error));
    }
  }

  #perform(effect: ElectionEffect): void {
    switch (effect.type) {
      case 'grantLeadership':
        return this.#tell((contender) => contender.grantLeadership(effect.leaderSessionId));
      case 'leadershipConfirmed': {
        const session = this.#session;
        if (session?.number !== effect.candidacy) return;
        const leadership = new StoreLeadership(
          this.#context,
          session,
          this.#termOwner,
          effect.token,
          effect.clusterId,
        );
        return this.#tell((contender) => contender.leadershipConfirmed(leadership));
      }
      case 'revokeLeadership':
        return this.#tell((contender) => contender.revokeLeadership(effect.reason));
      case 'servingChanged':
        return this.#tell((contender) => contender.servingChanged(effect.serving));
      case 'probe':
        return this.#tell((contender) =>
          contender.probe(() =>
            this.#dispatch({ type: 'probed', candidacy: effect.candidacy, check: effect.check }),
          ),
        );
      case 'refuseResignation':
        return this.#settle(effect.request, (waiting) =>
          waiting.reject(new QuartermasterError({ code: effect.code, detail: effect.detail })),
        );
      case 'createIdentity':
        void this.#createIdentity();
        return;
      case 'observe':
        return this.#observer.observe();
      case 'openCandidacy':
        return this.#openCandidacy(effect.candidacy);
      case 'stopped':
        return this.#end();
      case 'log':
        return this.#context.logger.log(effect.level, effect.event, effect.fields);
      default:
        if (this.#session?.number !== effect.candidacy) return;
        performInSession(this.#session, effect, {
          signal: this.#life.signal,
          onDone: (request) => this.#settle(request, (waiting) => waiting.resolve()),
        });
    }
  }

  #openCandidacy(candidacy: number): void {
    const leaderSessionId = this.#randomness.uuid() as LeaderSessionId;
    this.#session = new CandidateSession(
      this.#setting,
      candidacy,
      this.#randomness.leaseId(),
      leaderSessionId,
    );
    this.#dispatch({ type: 'candidacyOpened', candidacy, key: this.#session.key, leaderSessionId });
  }

  /** The same identity in each copy; whoever else was first is read and taken. */
  async #createIdentity(): Promise<void> {
    const minted = { clusterId: this.#randomness.uuid() as ClusterId, generation: FOUNDED_GENERATION };
    const transaction = createIdentity(this.#keys, minted);
    const outcome = await sendUntilAnswered(
      this.#context,
      (endpoint) => endpoint.transact(transaction, this.#context.timing.etcdCallMs),
      { name: 'create identity', signal: this.#life.signal },
    );
    if (outcome.kind !== 'answered') return;
    const { succeeded, results, revision } = outcome.value;
    const [found] = rangeOf(results, 0);
    const identity = succeeded ? minted : found === undefined ? null : parseIdentity(found.value);
    this.#dispatch({ type: 'identityAnswered', identity, revision });
  }

  #settle(request: number, settle: (waiting: Waiting) => void): void {
    const waiting = this.#resignations.get(request);
    this.#resignations.delete(request);
    if (waiting !== undefined) settle(waiting);
  }

  #end(): void {
    this.#stopped = true;
    this.#observer.stop();
    this.#spaceWatch.stop();
    this.#life.abort();
    const detail = 'It is not known whether the resignation was carried out; the lease has run out.';
    for (const request of this.#resignations.keys()) {
      this.#settle(request, (waiting) =>
        waiting.reject(new QuartermasterError({ code: 'NO_ANSWER', detail })),
      );
    }
    for (const { resolve } of this.#stopping.splice(0)) resolve();
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

import type { Identity } from '../../src/core/election/identity.ts';
import type { PeerSighting } from '../../src/core/election/peer-sighting.ts';
import type { WorkerKnowledge } from '../../src/core/election/worker-witnesses.ts';
import type { FencingToken } from '../../src/core/fencing-token.ts';
import type { ClusterId, LeaderSessionId, ResourceManagerId } from '../../src/core/ids.ts';
import { OWN_VERSIONS } from '../../src/core/messages/protocol-version.ts';
import type { Problem, QuartermasterError } from '../../src/core/problem.ts';
import type {
  CoordinationStore,
  Operation,
  OperationResult,
  Transaction,
} from '../../src/ha/coordination-store.ts';
import { deletes } from '../../src/ha/election-transactions.ts';
import { StoreError } from '../../src/ha/coordination-store.ts';
import { STORE_FULL } from '../../src/ha/store-space.ts';
import type { InMemoryEtcd } from '../../src/ha/embedded/in-memory-etcd.ts';
import { ClusterKeys } from '../../src/ha/keys.ts';
import type {
  Candidate,
  ElectionView,
  GenerationPlan,
  GuardedOutcome,
  GuardedWrite,
  LeaderContender,
  LeaderElectionService,
  Leadership,
  Registrations,
  Resignation,
} from '../../src/ha/leader-election.ts';

const TESTING_CLUSTER_ID = 'cluster-id' as ClusterId;

/** A term that serves unless the test says otherwise; its writes are guarded by a real key of the model. */
export class TestingLeadership implements Leadership {
  readonly token: FencingToken;
  readonly clusterId = TESTING_CLUSTER_ID;
  registrations: Registrations | null = null;
  readonly writes: GuardedWrite[] = [];
  serving = true;
  current = true;
  /** Runs right before a write is sent: the place for a deposition in between. */
  beforeWrite: () => void = () => {};
  readonly #store: CoordinationStore;
  readonly #candidateKey: string;

  constructor(token: FencingToken, store: CoordinationStore, candidateKey: string) {
    this.token = token;
    this.#store = store;
    this.#candidateKey = candidateKey;
  }

  mayServe(): boolean {
    return this.current && this.serving;
  }

  /** As the real one: each deletion writes the candidate key anew. */
  #fence(): Operation {
    return { type: 'put', key: this.#candidateKey, value: this.token.leaderSessionId };
  }

  async write(write: GuardedWrite): Promise<GuardedOutcome> {
    this.writes.push(write);
    this.beforeWrite();
    const transaction: Transaction = {
      compare: [
        { key: this.#candidateKey, target: 'create', result: '==', operand: this.token.epoch },
        ...write.alsoIf,
      ],
      success: deletes(write) ? [...write.operations, this.#fence()] : write.operations,
      failure: [{ type: 'range', key: this.#candidateKey }, ...write.readBack],
    };
    for (let copies = 1; ; copies++) {
      try {
        const result = await this.#store.endpoints[0].transact(transaction, 100);
        if (!this.current) return { kind: 'abandoned' };
        if (result.succeeded)
          return {
            kind: 'committed',
            revision: result.revision,
            results: result.results.slice(0, write.operations.length),
          };
        const [own, ...readBack] = result.results;
        if (!holdsKey(own)) return { kind: 'deposed' };
        return { kind: 'refused', revision: result.revision, results: readBack };
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (error.kind === 'no-space') return { kind: 'full', isCertain: copies === 1 };
        if (!this.current) return { kind: 'abandoned' };
      }
    }
  }
}

function holdsKey(result: OperationResult | undefined): boolean {
  return result?.type === 'range' && result.keyValues.length > 0;
}

/** An election that happens when the test says so, over the in-memory model of etcd. */
export class TestingLeaderElection implements LeaderElectionService {
  contender: LeaderContender | null = null;
  leadership: TestingLeadership | null = null;
  /** What the next confirm reads along. */
  registrations: Registrations | null = null;
  readonly confirms: LeaderSessionId[] = [];
  readonly resignations: Resignation[] = [];
  readonly sightings: PeerSighting[] = [];
  stopped: string | null = null;
  storeFull = false;
  resignProblem: QuartermasterError | null = null;
  /** What workers have said last; those whose connection has ended are gone. */
  readonly heard = new Map<string, WorkerKnowledge>();
  readonly declared: (number | null)[] = [];
  view: ElectionView = {
    clusterId: TESTING_CLUSTER_ID,
    generation: 1,
    candidates: [],
    leader: null,
    contradiction: null,
  };
  readonly #etcd: Pick<InMemoryEtcd, 'state'>;
  readonly #store: CoordinationStore;
  readonly #keys: ClusterKeys;
  #terms = 0;
  #granted: LeaderSessionId | null = null;

  constructor(etcd: Pick<InMemoryEtcd, 'state'>, store: CoordinationStore, cluster: string) {
    this.#etcd = etcd;
    this.#store = store;
    this.#keys = new ClusterKeys(cluster);
  }

  start(contender: LeaderContender): void {
    this.contender = contender;
    contender.viewChanged(this.view);
  }

  confirmLeaderSessionId(leaderSessionId: LeaderSessionId): void {
    this.confirms.push(leaderSessionId);
  }

  hasLeadership(leaderSessionId: LeaderSessionId): boolean {
    return this.leadership?.token.leaderSessionId === leaderSessionId;
  }

  setCandidates(candidates: readonly Candidate[]): void {
    this.view = { ...this.view, candidates };
    this.contender?.viewChanged(this.view);
  }

  /** Somebody leads, as etcd shows it; null when nobody does. */
  setLeader(leader: ElectionView['leader']): void {
    this.view = { ...this.view, leader };
    this.contender?.viewChanged(this.view);
  }

  grant(): LeaderSessionId {
    this.#terms += 1;
    this.#granted = `session-${this.#terms}` as LeaderSessionId;
    this.contender?.grantLeadership(this.#granted);
    return this.#granted;
  }

  /** The confirm of what was granted last has committed. */
  confirm(generation = 1): TestingLeadership {
    const leaderSessionId = this.#granted;
    if (leaderSessionId === null) throw new Error('nothing was granted');
    const key = this.#candidateKey();
    this.#etcd.state.transact({
      compare: [],
      success: [{ type: 'put', key, value: leaderSessionId }],
      failure: [],
    });
    const epoch = this.#etcd.state.mvcc.revision;
    const token = { generation, epoch, leaderSessionId };
    this.leadership = new TestingLeadership(token, this.#store, key);
    this.leadership.registrations = this.registrations;
    this.contender?.leadershipConfirmed(this.leadership);
    return this.leadership;
  }

  /** Grant, confirm. */
  lead(generation = 1): TestingLeadership {
    this.grant();
    return this.confirm(generation);
  }

  /** The candidate key is gone, and nobody has told the leader yet. */
  depose(): void {
    const key = this.#candidateKey();
    this.#etcd.state.transact({ compare: [], success: [{ type: 'delete', key }], failure: [] });
  }

  revoke(reason = 'lost'): void {
    this.depose();
    if (this.leadership !== null) this.leadership.current = false;
    this.leadership = null;
    this.#granted = null;
    this.contender?.revokeLeadership(reason);
  }

  peerSighted(sighting: PeerSighting): void {
    this.sightings.push(sighting);
  }

  workerHeard(worker: string, knowledge: WorkerKnowledge | null): void {
    if (knowledge === null) this.heard.delete(worker);
    else this.heard.set(worker, knowledge);
  }

  planGeneration(): Promise<GenerationPlan> {
    const { clusterId, generation, contradiction } = this.view;
    const present = clusterId === null ? null : { clusterId, generation };
    const identity = { clusterId: TESTING_CLUSTER_ID, generation: generation + 1 };
    const informedWorkers = this.heard.size;
    return Promise.resolve({ present, identity, informedWorkers, contradictingWorkers: 0, contradiction });
  }

  async declareGeneration(generation: number | null): Promise<Identity> {
    this.declared.push(generation);
    return (await this.planGeneration()).identity;
  }

  /** Etcd is not believed, for that reason; believed again with null. */
  contradict(contradiction: string | null): void {
    this.view = { ...this.view, contradiction };
    this.contender?.viewChanged(this.view);
  }

  suspend(): void {
    if (this.leadership !== null) this.leadership.serving = false;
    this.contender?.servingChanged(false);
  }

  resume(): void {
    if (this.leadership !== null) this.leadership.serving = true;
    this.contender?.servingChanged(true);
  }

  whyNotResign(): Promise<Problem | null> {
    return Promise.resolve(this.storeFull ? STORE_FULL : null);
  }

  resign(resignation: Resignation): Promise<void> {
    if (this.resignProblem !== null) return Promise.reject(this.resignProblem);
    this.resignations.push(resignation);
    this.revoke(resignation.reason);
    return Promise.resolve();
  }

  stop(reason: string): Promise<void> {
    this.stopped = reason;
    this.revoke(reason);
    return Promise.resolve();
  }

  #candidateKey(): string {
    return this.#keys.candidate(BigInt(this.#terms));
  }
}

/** A candidate of that name at that address. */
export function candidate(
  name: string,
  address: string,
  bootNonce = `${name}-boot`,
  spoken = OWN_VERSIONS,
): Candidate {
  return {
    resourceManagerId: name as ResourceManagerId,
    address,
    bootNonce: bootNonce as Candidate['bootNonce'],
    version: '0.1.0',
    ...spoken,
    createRevision: 1n,
  };
}

import { expect } from 'chai';
import type { BootNonce, ResourceManagerId } from '../../src/core/ids.ts';
import { DEFAULT_TIMING, type Timing } from '../../src/core/timing.ts';
import type { CoordinationStore, KeyValue } from '../../src/ha/coordination-store.ts';
import { type HistoryRow, parseHistoryRow } from '../../src/ha/election-records.ts';
import { ClusterKeys } from '../../src/ha/keys.ts';
import type { LeaderElectionService } from '../../src/ha/leader-election.ts';
import { storeContext, type StoreContext } from '../../src/ha/persistent-call.ts';
import type {
  HighAvailabilityOptions,
  StoreHighAvailabilityServices,
} from '../../src/ha/store-high-availability-services.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { TestingContender } from '../support/testing-contender.ts';
import { TestingLogger } from '../support/testing-logger.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';

/** A store that elections run over, and what moves its time on. */
export interface HighAvailabilityUnderTest {
  readonly clock: Clock;
  readonly timing: Timing;
  services(options: HighAvailabilityOptions): StoreHighAvailabilityServices;
  /** A store of an operator's own. */
  operator(): CoordinationStore;
  until(what: string, condition: () => boolean | Promise<boolean>, limitMs?: number): Promise<void>;
  /** Waits for an answer, moving time on if need be. */
  answer<T>(call: Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

export const TEST_TIMING: Timing = { ...DEFAULT_TIMING, leaseTtlSeconds: 3 };
const CALL_MS = 2_000;

/** One resource manager's part in the election. */
export interface Participant {
  readonly id: ResourceManagerId;
  readonly services: StoreHighAvailabilityServices;
  readonly election: LeaderElectionService;
  readonly contender: TestingContender;
  readonly logger: TestingLogger;
}

/** One cluster of a test: its participants, and an operator's hands on its keys. */
export class ElectionScene {
  readonly cluster: string;
  readonly keys: ClusterKeys;
  readonly participants: Participant[] = [];
  readonly #under: HighAvailabilityUnderTest;
  readonly #store: CoordinationStore;
  readonly #randomness: SeededRandomness;

  constructor(under: HighAvailabilityUnderTest, cluster: string, seed: number) {
    this.#under = under;
    this.cluster = cluster;
    this.keys = new ClusterKeys(cluster);
    this.#store = under.operator();
    this.#randomness = new SeededRandomness(seed, cluster);
  }

  options(name: string, logger: TestingLogger): HighAvailabilityOptions {
    const { clock, timing } = this.#under;
    const candidate = {
      resourceManagerId: name as ResourceManagerId,
      address: `${name}:7000`,
      bootNonce: this.#randomness.uuid() as BootNonce,
      version: '0.1.0',
    };
    return { cluster: this.cluster, candidate, timing, clock, randomness: this.#randomness, logger };
  }

  /** Joins the election and waits until it is in line. */
  async join(name: string): Promise<Participant> {
    const participant = this.begin(name);
    await this.until(`${name} is in line`, () => this.lineOf(participant).includes(name));
    return participant;
  }

  /** Joins the election. */
  begin(name: string): Participant {
    const logger = new TestingLogger();
    const services = this.#under.services(this.options(name, logger));
    const election = services.leaderElection();
    const contender = new TestingContender(election);
    const participant = { id: name as ResourceManagerId, services, election, contender, logger };
    this.participants.push(participant);
    election.start(contender);
    return participant;
  }

  /** Names in line, as this participant sees it. */
  lineOf({ election }: Participant): string[] {
    return election.view.candidates.map(({ resourceManagerId }) => resourceManagerId);
  }

  async untilLeads(participant: Participant, limitMs?: number): Promise<void> {
    await this.until(`${participant.id} leads`, () => participant.contender.leadership !== null, limitMs);
    const seen = (): boolean =>
      this.participants.every(({ election }) => election.view.leader?.resourceManagerId === participant.id);
    await this.until(`everybody sees ${participant.id} lead`, seen);
  }

  /** As `untilLeads`, where others have gone. */
  untilLeadsAlone(participant: Participant): Promise<void> {
    return this.until(`${participant.id} leads`, () => participant.contender.leadership !== null);
  }

  until(what: string, condition: () => boolean | Promise<boolean>, limitMs?: number): Promise<void> {
    return this.#under.until(what, condition, limitMs);
  }

  answer<T>(call: Promise<T>): Promise<T> {
    return this.#under.answer(call);
  }

  /** What reads go through that need no leadership. */
  storeContext({ services, logger }: Participant): StoreContext {
    return storeContext(services.store, this.#under.clock, this.#under.timing, logger);
  }

  async range(key: string, prefix = false): Promise<readonly KeyValue[]> {
    const [endpoint] = this.#store.endpoints;
    return (await this.answer(endpoint.range({ type: 'range', key, prefix }, CALL_MS))).keyValues;
  }

  async put(key: string, value: string): Promise<void> {
    const [endpoint] = this.#store.endpoints;
    const transaction = { compare: [], success: [{ type: 'put', key, value } as const], failure: [] };
    await this.answer(endpoint.transact(transaction, CALL_MS));
  }

  async delete(key: string, prefix = false): Promise<void> {
    const [endpoint] = this.#store.endpoints;
    const transaction = { compare: [], success: [{ type: 'delete', key, prefix } as const], failure: [] };
    await this.answer(endpoint.transact(transaction, CALL_MS));
  }

  async revoke(lease: bigint): Promise<void> {
    const [endpoint] = this.#store.endpoints;
    await this.answer(endpoint.revokeLease(lease, CALL_MS));
  }

  /** The keys in line, the head first. */
  async line(): Promise<readonly KeyValue[]> {
    const keyValues = await this.range(this.keys.election, true);
    return [...keyValues].sort((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
  }

  async history(): Promise<HistoryRow[]> {
    return (await this.range(this.keys.history, true)).flatMap(({ value }) => parseHistoryRow(value) ?? []);
  }

  async end(): Promise<void> {
    for (const { services } of this.participants) await this.answer(services.close());
    for (const { id, contender } of this.participants) {
      expect(contender.errors, `errors of ${id}`).to.deep.equal([]);
      const sessions = contender.terms.map(({ token }) => token.leaderSessionId);
      expect(new Set(sessions).size, `sessions of ${id}`).to.equal(sessions.length);
    }
    await this.#store.close();
  }
}

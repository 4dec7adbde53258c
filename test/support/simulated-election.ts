import type { ResourceManagerId } from '../../src/core/ids.ts';
import type { Leadership } from '../../src/ha/leader-election.ts';
import { StoreHighAvailabilityServices } from '../../src/ha/store-high-availability-services.ts';
import type { StoreRequest } from '../../src/ha/embedded/member-behaviour.ts';
import {
  ElectionScene,
  type HighAvailabilityUnderTest,
  type Participant,
  TEST_TIMING,
} from '../contract/high-availability-under-test.ts';
import { SimulatedEtcd } from '../simulation/simulated-etcd.ts';
import { settle, VirtualClock } from '../simulation/virtual-clock.ts';

export const TTL_MS = TEST_TIMING.leaseTtlSeconds * 1_000;

/** A cluster over an etcd of three members with faults at will, in virtual time. */
export class SimulatedElection {
  readonly clock = new VirtualClock();
  readonly etcd = new SimulatedEtcd({ clock: this.clock });
  readonly scene: ElectionScene;

  constructor() {
    const { clock, etcd } = this;
    const until: HighAvailabilityUnderTest['until'] = async (what, condition, limitMs = 30_000) => {
      const endMs = clock.monotonicMs() + limitMs;
      await settle();
      while (!(await condition())) {
        if (!(await clock.step(endMs))) throw new Error(`${what}: not within ${limitMs} ms`);
      }
    };
    const answer = async <T>(call: Promise<T>): Promise<T> => {
      let settled = false;
      void call
        .catch(() => null)
        .then(() => {
          settled = true;
        });
      await until('an answer', () => settled);
      return call;
    };
    const under: HighAvailabilityUnderTest = {
      clock,
      timing: TEST_TIMING,
      services: (options) =>
        new StoreHighAvailabilityServices(etcd.connect(options.candidate.resourceManagerId), options),
      operator: () => etcd.connect('operator'),
      until,
      answer,
      stop: () => Promise.resolve(),
    };
    this.scene = new ElectionScene(under, 'simulated', 1);
  }

  /** Joins without waiting for anything. */
  begin(name: string): Participant {
    return this.scene.begin(name);
  }

  /** One who leads, alone. */
  async leader(name = 'rm-1'): Promise<{ participant: Participant; leadership: Leadership }> {
    const participant = await this.scene.join(name);
    await this.scene.untilLeads(participant);
    const { leadership } = participant.contender;
    if (leadership === null) throw new Error(`${name} does not lead`);
    return { participant, leadership };
  }

  /** What stands under a key, and nothing if it is not there. */
  value(key: string): string | undefined {
    return this.etcd.state.range({ type: 'range', key }).keyValues[0]?.value;
  }

  /** Of whoever the leader record names. */
  recordedLeader(): ResourceManagerId | undefined {
    const value = this.value(this.scene.keys.leader);
    return value === undefined ? undefined : JSON.parse(value).resourceManagerId;
  }

  /** Fits a transaction that writes this key. */
  writes(key: string): (request: StoreRequest) => boolean {
    return (request) =>
      request.method === 'transact' &&
      request.transaction.success.some((operation) => operation.type === 'put' && operation.key === key);
  }

  /** Fits a transaction that writes or deletes a key of this folder. */
  writesUnder(folder: string): (request: StoreRequest) => boolean {
    return (request) =>
      request.method === 'transact' &&
      request.transaction.success.some(({ type, key }) => type !== 'range' && key.startsWith(folder));
  }

  /** Fits a transaction that deletes this key. */
  deletes(key: string): (request: StoreRequest) => boolean {
    return (request) =>
      request.method === 'transact' &&
      request.transaction.success.some((operation) => operation.type === 'delete' && operation.key === key);
  }

  /** Fits a transaction that reads this key. */
  reads(key: string): (request: StoreRequest) => boolean {
    return (request) =>
      request.method === 'transact' &&
      request.transaction.success.some((operation) => operation.type === 'range' && operation.key === key);
  }

  /** Fits the put of a candidate key. */
  joins(): (request: StoreRequest) => boolean {
    const { election } = this.scene.keys;
    return (request) =>
      request.method === 'transact' &&
      request.transaction.success.some(({ type, key }) => type === 'put' && key.startsWith(election));
  }
}

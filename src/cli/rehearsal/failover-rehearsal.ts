import type { BootNonce, ResourceId, ResourceManagerId } from '../../core/ids.ts';
import { profileMatching } from '../../core/slotmanager/slot-matching.ts';
import type { Timing } from '../../core/timing.ts';
import { EmbeddedHighAvailability } from '../../ha/embedded/embedded-high-availability.ts';
import type { StoreHighAvailabilityServices } from '../../ha/store-high-availability-services.ts';
import { JobMaster } from '../../jobmaster/job-master.ts';
import { ResourceManager } from '../../resourcemanager/resource-manager.ts';
import { InMemoryNetwork } from '../../rpc/in-memory-network.ts';
import type { Clock } from '../../runtime/clock.ts';
import { NO_JOURNAL } from '../../runtime/journal.ts';
import { SILENT_LOGGER } from '../../runtime/logger.ts';
import { NO_SECRET } from '../../runtime/prover.ts';
import type { Randomness } from '../../runtime/randomness.ts';
import { InMemoryStateStore } from '../../taskexecutor/in-memory-state-store.ts';
import { TaskExecutor } from '../../taskexecutor/task-executor.ts';
import { EndingClock } from './ending-clock.ts';

/** What a rehearsal needs of the process that holds it. */
export interface RehearsalOptions {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly timing: Timing;
  /** Ends the rehearsal early. */
  readonly signal: AbortSignal;
}

/** How a rehearsal went. */
export interface RehearsalResult {
  /** Changes of leader after which a slot was claimed under the new one. */
  readonly failovers: number;
  readonly tookMs: number;
}

const CLUSTER = 'rehearsal';
const PROFILE = { cpuCores: 1, memoryMB: 1 };
/** So many of the failovers are crashes: a cluster deposes no more than these in 10 s. */
const CRASHES = 3;
const FAILOVERS = 30;
const DEADLINE_MS = 10_000;

interface Player {
  readonly manager: ResourceManager;
  readonly services: StoreHighAvailabilityServices;
  readonly address: string;
}

/**
 * Goes through failovers in a cluster of its own within this process, over a store and a network in memory, from the
 * death of a leader to the slot claimed under the next: so that code which a standby has never run is compiled
 * before its first take-over, when every millisecond is waited for. Touches nothing outside. Resolves when it is
 * over or takes too long; never rejects.
 */
export async function rehearseFailover(options: RehearsalOptions): Promise<RehearsalResult> {
  const startMs = options.clock.monotonicMs();
  const rehearsal = new Rehearsal(options);
  try {
    await rehearsal.run();
  } catch {
    // Whatever broke the play breaks nothing else; it is as far as the code has been warmed.
  }
  rehearsal.end();
  return { failovers: rehearsal.failovers, tookMs: options.clock.monotonicMs() - startMs };
}

class Rehearsal {
  failovers = 0;
  readonly #options: RehearsalOptions;
  readonly #network: InMemoryNetwork;
  readonly #store: EmbeddedHighAvailability;
  #managers: readonly Player[];
  readonly #clock: EndingClock;
  readonly #over: AbortSignal;

  constructor(options: RehearsalOptions) {
    this.#options = options;
    this.#clock = new EndingClock(options.clock);
    const tooLong = new AbortController();
    this.#clock.schedule(DEADLINE_MS, () => tooLong.abort());
    this.#over = AbortSignal.any([options.signal, tooLong.signal]);
    this.#network = new InMemoryNetwork(this.#clock);
    this.#store = new EmbeddedHighAvailability({ clock: this.#clock });
    this.#managers = [this.#player('a'), this.#player('b')];
  }

  async run(): Promise<void> {
    for (const { manager } of this.#managers) manager.start();
    await this.#startTaskExecutor();
    const job = await this.#startJob();
    await this.#useSlot(job);
    for (let round = 0; round < FAILOVERS && !this.#over.aborted; round += 1) {
      const leader = this.#managers.find(({ manager }) => manager.state === 'serving');
      if (leader === undefined) return;
      if (round < CRASHES) this.#network.crash(leader.address);
      // Not as an operator would: it would wait until the other one has answered a ping.
      else await leader.services.leaderElection().resign({ reason: CLUSTER });
      await this.#useSlot(job);
      if (leader.manager.state !== 'serving') this.failovers += 1;
      if (round < CRASHES) await this.#replace(leader);
      await this.#allReady();
    }
  }

  end(): void {
    this.#clock.end();
  }

  #player(name: string): Player {
    const { randomness, timing } = this.#options;
    const clock = this.#clock;
    const address = `${name}:1`;
    const candidate = {
      resourceManagerId: name as ResourceManagerId,
      address,
      bootNonce: randomness.uuid() as BootNonce,
      version: CLUSTER,
      // The next failover follows at once.
      rejoinMs: 0,
    };
    const shared = { clock, randomness, timing, logger: SILENT_LOGGER, cluster: CLUSTER };
    const services = this.#store.services({ ...shared, candidate });
    const manager = new ResourceManager({
      ...shared,
      ...candidate,
      highAvailability: services,
      dialer: this.#network.dialer(address),
      prover: NO_SECRET,
      matching: profileMatching,
      workerProvider: null,
      onFatal: () => {},
    });
    this.#network.listen(address, manager.acceptor());
    return { manager, services, address };
  }

  async #startTaskExecutor(): Promise<void> {
    const { randomness, timing } = this.#options;
    const clock = this.#clock;
    const address = 'te:1';
    const taskExecutor = new TaskExecutor({
      identity: { cluster: CLUSTER, resourceId: 'te' as ResourceId },
      address,
      seeds: this.#addresses(),
      slots: [{ ...PROFILE, extended: {} }],
      provider: null,
      clock,
      randomness,
      logger: SILENT_LOGGER,
      timing,
      dialer: this.#network.dialer(address),
      prover: NO_SECRET,
      stateStore: new InMemoryStateStore(clock),
      slotsDieWithProcess: false,
      onFatal: () => {},
    });
    this.#network.listen(address, taskExecutor.acceptor());
    await taskExecutor.start();
  }

  #startJob(): Promise<JobMaster> {
    const { randomness, timing } = this.#options;
    const clock = this.#clock;
    const options = {
      jobId: 'job',
      cluster: CLUSTER,
      resourceManagers: this.#addresses(),
      signal: this.#over,
    };
    const environment = {
      clock,
      randomness,
      timing,
      dialer: this.#network.dialer('jm:1'),
      prover: NO_SECRET,
    };
    return JobMaster.register(options, { ...environment, logger: SILENT_LOGGER, journal: NO_JOURNAL });
  }

  #addresses(): string[] {
    return this.#managers.map(({ address }) => address);
  }

  async #useSlot(job: JobMaster): Promise<void> {
    const slots = await job.requestSlots(1, PROFILE, { signal: this.#over });
    await Promise.all(slots.map((slot) => slot.release()));
  }

  /** As a process that is started again; what is left of the one before goes its way. */
  async #replace(dead: Player): Promise<void> {
    const fresh = this.#player(dead.manager.view.status().resourceManagerId);
    this.#managers = this.#managers.map((player) => (player === dead ? fresh : player));
    fresh.manager.start();
    await dead.manager.stop('it has crashed');
    await dead.services.close();
  }

  async #allReady(): Promise<void> {
    while (!this.#over.aborted && !this.#managers.every(({ manager }) => manager.view.status().ready)) {
      await new Promise<void>((resolve) => this.#clock.schedule(5, resolve));
    }
  }
}

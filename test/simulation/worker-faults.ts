import type { SeededRandomness } from '../support/testing-randomness.ts';
import type { FaultCounts } from './fault-schedule.ts';
import type { Running, SimulatedCluster } from './simulated-cluster.ts';

/** What the faults need of the scenario that they strike. */
export interface WorkerWorld {
  readonly cluster: SimulatedCluster;
  readonly randomness: SeededRandomness;
  /** Starts a task executor again, with that many slots. */
  startTaskExecutor(id: string, slots: number): void;
  /** Starts a process of that name again. */
  startJobMaster(name: string): void;
  /** The disk of a task executor is lost. */
  eraseState(id: string): void;
}

/** Faults that strike workers and their clocks, or (`calm`) everybody but them. */
export class WorkerFaults {
  readonly counts: FaultCounts = {};
  readonly #world: WorkerWorld;
  readonly #faults: readonly (() => string | null)[];
  #over = false;

  constructor(world: WorkerWorld, calm: boolean) {
    this.#world = world;
    const others = [
      () => this.#crashResourceManager(),
      () => this.#allResourceManagers(),
      () => this.#etcdGone(),
      () => this.#pause([...world.cluster.resourceManagers.values()]),
      () => this.#wallJump([...world.cluster.resourceManagers.values()]),
    ];
    const workers = [
      () => this.#crashTaskExecutor(),
      () => this.#crashTaskExecutor(),
      () => this.#crashJobMaster(),
      () => this.#secondJobMaster(),
      () => this.#pause(this.#workers()),
      () => this.#suspend(),
      () => this.#suspend(),
      () => this.#wallJump([...world.cluster.jobMasters.values()]),
      () => this.#slow(),
      () => this.#cut(),
      () => this.#cut(),
      () => this.#rackCutOff(),
      () => this.#cutFromItsSlots(),
      () => this.#cutFromItsSlots(),
    ];
    this.#faults = calm ? others : [...others, ...workers];
  }

  start(everyMs: number): void {
    const { cluster, randomness } = this.#world;
    const next = (): void => {
      if (this.#over) return;
      const name = this.#pick(this.#faults)();
      if (name !== null) {
        this.counts[name] = (this.counts[name] ?? 0) + 1;
        cluster.trace.add('FAULT', name);
      }
      cluster.clock.schedule(2 * everyMs * randomness.fraction(), next);
    };
    cluster.clock.schedule(everyMs, next);
  }

  /** No more faults; what is cut or stopped comes back now, what is down when its time has come. */
  heal(): void {
    this.#over = true;
    const { cluster } = this.#world;
    const { links, etcd, resourceManagers } = cluster;
    cluster.trace.add('FAULT', 'heal');
    links.heal();
    links.quality = { ...links.quality, stallShare: 0, breakShare: 0 };
    for (const name of etcd.memberNames) etcd.setCondition(name, 'up');
    for (const { process } of [...resourceManagers.values(), ...this.#workers()]) process.resume();
  }

  #workers(): Running<unknown>[] {
    const { taskExecutors, jobMasters } = this.#world.cluster;
    return [...taskExecutors.values(), ...jobMasters.values()];
  }

  #pick<T>(all: readonly T[]): T {
    const one = all[this.#world.randomness.between(0, all.length - 1)];
    if (one === undefined) throw new Error('nothing to choose from');
    return one;
  }

  #later(leastMs: number, mostMs: number, action: () => void): void {
    this.#world.cluster.clock.schedule(this.#world.randomness.between(leastMs, mostMs), action);
  }

  #crashResourceManager(): string | null {
    const { cluster } = this.#world;
    const [id, running] = this.#pick([...cluster.resourceManagers]);
    if (!running.process.alive) return null;
    cluster.crash(running);
    this.#later(10, 20_000, () => cluster.startResourceManager(id));
    return 'crash of a resource manager';
  }

  #allResourceManagers(): string {
    const { cluster, randomness } = this.#world;
    const downMs = randomness.between(1_000, 70_000);
    for (const [id, running] of cluster.resourceManagers) {
      if (!running.process.alive) continue;
      cluster.crash(running);
      cluster.clock.schedule(downMs, () => cluster.startResourceManager(id));
    }
    return 'crash of all resource managers';
  }

  #etcdGone(): string {
    const { etcd } = this.#world.cluster;
    for (const name of etcd.memberNames) etcd.setCondition(name, 'silent');
    this.#later(500, 40_000, () => {
      for (const name of etcd.memberNames) etcd.setCondition(name, 'up');
    });
    return 'all of etcd silent';
  }

  #crashTaskExecutor(): string | null {
    const { cluster, randomness } = this.#world;
    const [id, running] = this.#pick([...cluster.taskExecutors]);
    if (!running.process.alive) return null;
    cluster.crash(running);
    if (randomness.fraction() < 0.2) this.#world.eraseState(id);
    const slots = randomness.fraction() < 0.3 ? 1 : 3;
    this.#later(0, randomness.fraction() < 0.5 ? 2_000 : 70_000, () =>
      this.#world.startTaskExecutor(id, slots),
    );
    return slots === 3 ? 'crash of a task executor' : 'task executor starts again with one slot';
  }

  #crashJobMaster(): string | null {
    const { cluster } = this.#world;
    const [name, running] = this.#pick([...cluster.jobMasters]);
    if (!running.process.alive) return null;
    cluster.crash(running);
    this.#later(10, 60_000, () => {
      // A second job master may have been started under that name meanwhile.
      if (cluster.jobMasters.get(name)?.process.alive !== true) this.#world.startJobMaster(name);
    });
    return 'crash of a job master';
  }

  #secondJobMaster(): string | null {
    const { cluster } = this.#world;
    const name = this.#pick(['job-1', 'job-1/b', 'job-2', 'job-2/b']);
    const running = cluster.jobMasters.get(name);
    const ended = running === undefined || running.endpoint.job?.signal.aborted === true;
    if (!ended) return null;
    if (running?.process.alive === true) cluster.crash(running);
    this.#world.startJobMaster(name);
    return 'second job master of a job';
  }

  #pause(all: readonly Running<unknown>[]): string | null {
    const { process } = this.#pick(all);
    if (!process.running) return null;
    process.stop();
    this.#later(50, 40_000, () => process.resume());
    return 'pause of a process';
  }

  #suspend(): string | null {
    const { process } = this.#pick(this.#workers());
    if (!process.running) return null;
    process.suspend();
    this.#later(300, 60_000, () => process.resume());
    return "suspension of a worker's machine";
  }

  #wallJump(all: readonly Running<unknown>[]): string | null {
    const { process } = this.#pick(all);
    process.jumpWall(this.#world.randomness.between(-100_000, 20_000));
    return 'jump of a wall clock';
  }

  /** Runs for moments only, for a while. */
  #slow(): string | null {
    const { process } = this.#pick(this.#workers());
    if (!process.running) return null;
    const { cluster, randomness } = this.#world;
    const untilMs = cluster.clock.monotonicMs() + randomness.between(2_000, 30_000);
    const hiccup = (): void => {
      if (this.#over || !process.running || cluster.clock.monotonicMs() >= untilMs) return;
      process.stop();
      this.#later(50, 1_500, () => {
        process.resume();
        this.#later(1, 100, hiccup);
      });
    };
    hiccup();
    return 'slow process';
  }

  #cut(): string | null {
    const { cluster, randomness } = this.#world;
    const from = this.#pick(this.#workers()).address;
    const to = this.#pick([...cluster.resourceManagers.values(), ...this.#workers()]).address;
    if (from === to) return null;
    this.#cutBetween([from], [to], randomness.fraction() < 0.7, 30_000);
    return 'cut between two processes';
  }

  /** For about as long as a lease lasts without renewal. */
  #cutFromItsSlots(): string | null {
    const { jobMasters, taskExecutors } = this.#world.cluster;
    const holders = [...jobMasters.values()].flatMap((running) =>
      (running.endpoint.job?.slots ?? []).map((slot) => ({
        holder: running.address,
        owner: taskExecutors.get(slot.slotId.resourceId)?.address,
      })),
    );
    if (holders.length === 0) return null;
    const { holder, owner } = this.#pick(holders);
    if (owner === undefined) return null;
    this.#cutBetween([holder], [owner], true, 70_000);
    return 'job master cut off from its slot';
  }

  /** Task executor and job masters reach each other, but no resource manager. */
  #rackCutOff(): string {
    const { cluster } = this.#world;
    const { taskExecutors, jobMasters, resourceManagers } = cluster;
    const rack = [this.#pick([...taskExecutors.values()]), ...jobMasters.values()].map(
      ({ address }) => address,
    );
    const others = [...resourceManagers.values()].map(({ address }) => address);
    this.#cutBetween(rack, others, true, 90_000);
    return 'rack cut off from the resource managers';
  }

  #cutBetween(some: readonly string[], others: readonly string[], bothWays: boolean, mostMs: number): void {
    const { links } = this.#world.cluster;
    const each = (action: (from: string, to: string) => void): void => {
      for (const from of some) {
        for (const to of others) {
          action(from, to);
          if (bothWays) action(to, from);
        }
      }
    };
    each((from, to) => links.cut(from, to));
    this.#later(100, mostMs, () => each((from, to) => links.mend(from, to)));
  }
}

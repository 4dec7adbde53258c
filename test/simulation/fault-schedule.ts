import type { ResourceManagerId } from '../../src/core/ids.ts';
import type { ResourceProfile } from '../../src/core/resource-profile.ts';
import type { SeededRandomness } from '../support/testing-randomness.ts';
import type { Running, SimulatedCluster } from './simulated-cluster.ts';

/** How many faults of each kind a run has seen. */
export type FaultCounts = Record<string, number>;

/** Throws faults at a cluster, by chance from a seed, until it is told to make everything whole again. */
export class FaultSchedule {
  readonly counts: FaultCounts = {};
  readonly #cluster: SimulatedCluster;
  readonly #randomness: SeededRandomness;
  readonly #slots: readonly ResourceProfile[];
  readonly #faults: readonly (() => string | null)[];
  #over = false;
  /** Since when no operator or etcd took leadership away early; an overlap is allowed only then. */
  lastRevocationMs = -Infinity;

  constructor(cluster: SimulatedCluster, randomness: SeededRandomness, slots: readonly ResourceProfile[]) {
    this.#cluster = cluster;
    this.#randomness = randomness;
    this.#slots = slots;
    this.#faults = [
      () => this.#crashResourceManager(),
      () => this.#crashResourceManager(),
      () => this.#crashTaskExecutor(),
      () => this.#crashJobMaster(),
      () => this.#pause(),
      () => this.#pause(),
      () => this.#cutLink(),
      () => this.#cutLink(),
      () => this.#etcdMember(),
      () => this.#etcdLink(),
      () => this.#loseAnswer(),
      () => this.#loseAnswer(),
      () => this.#dropWatches(),
      () => this.#operator(),
      () => this.#changeEtcdLeader(),
      () => this.#stepDown(),
      () => this.#fillEtcd(),
    ];
  }

  /** Begins: a fault now and then, about every `everyMs`. */
  start(everyMs: number): void {
    const { clock } = this.#cluster;
    const next = (): void => {
      if (this.#over) return;
      const name = this.#pick(this.#faults)();
      if (name !== null) {
        this.counts[name] = (this.counts[name] ?? 0) + 1;
        this.#cluster.trace.add('FAULT', name);
      }
      clock.schedule(2 * everyMs * this.#randomness.fraction(), next);
    };
    clock.schedule(everyMs, next);
  }

  /** No more faults; what is cut, stopped or down comes back now. */
  heal(): void {
    this.#over = true;
    const { links, etcd, resourceManagers, taskExecutors, jobMasters, trace } = this.#cluster;
    trace.add('FAULT', 'heal');
    links.heal();
    links.quality = { ...links.quality, stallShare: 0, breakShare: 0 };
    for (const name of etcd.memberNames) etcd.setCondition(name, 'up');
    etcd.state.noSpace = false;
    for (const running of [...resourceManagers.values(), ...taskExecutors.values(), ...jobMasters.values()]) {
      running.process.resume();
      etcd.unblock(running.process.name);
    }
  }

  #pick<T>(all: readonly T[]): T {
    const one = all[this.#randomness.between(0, all.length - 1)];
    if (one === undefined) throw new Error('nothing to choose from');
    return one;
  }

  #later(leastMs: number, mostMs: number, action: () => void): void {
    this.#cluster.clock.schedule(this.#randomness.between(leastMs, mostMs), action);
  }

  #crashResourceManager(): string | null {
    const [id, running] = this.#pick([...this.#cluster.resourceManagers]);
    if (!running.process.alive) return null;
    const wasLeader = running.endpoint.state === 'serving';
    this.#cluster.crash(running);
    this.#later(10, 20_000, () => this.#cluster.startResourceManager(id));
    return wasLeader ? 'crash of the leader' : 'crash of a standby';
  }

  #crashTaskExecutor(): string | null {
    const [id, running] = this.#pick([...this.#cluster.taskExecutors]);
    if (!running.process.alive) return null;
    this.#cluster.crash(running);
    if (this.#randomness.fraction() < 0.3) this.#cluster.eraseState(id);
    this.#later(10, 20_000, () => this.#cluster.startTaskExecutor(id, this.#slots));
    return 'crash of a task executor';
  }

  #crashJobMaster(): string | null {
    const [id, running] = this.#pick([...this.#cluster.jobMasters]);
    if (!running.process.alive) return null;
    this.#cluster.crash(running);
    this.#later(10, 10_000, () => this.#cluster.startJobMaster(id));
    return 'crash of a job master';
  }

  #pause(): string | null {
    const { resourceManagers, taskExecutors, jobMasters } = this.#cluster;
    const all: Running<unknown>[] = [
      ...resourceManagers.values(),
      ...taskExecutors.values(),
      ...jobMasters.values(),
    ];
    const { process } = this.#pick(all);
    if (!process.running) return null;
    process.stop();
    this.#later(50, 40_000, () => process.resume());
    return 'pause of a process';
  }

  #cutLink(): string | null {
    const { resourceManagers, taskExecutors, jobMasters, links } = this.#cluster;
    const all = [...resourceManagers.values(), ...taskExecutors.values(), ...jobMasters.values()];
    const from = this.#pick(all).address;
    const to = this.#pick(all).address;
    if (from === to) return null;
    links.cut(from, to);
    const bothWays = this.#randomness.fraction() < 0.5;
    if (bothWays) links.cut(to, from);
    this.#later(100, 20_000, () => {
      links.mend(from, to);
      if (bothWays) links.mend(to, from);
    });
    return bothWays ? 'cut between two processes' : 'cut one way';
  }

  /** Nobody can register or be confirmed until an operator has seen to it. */
  #fillEtcd(): string | null {
    const { etcd } = this.#cluster;
    if (etcd.state.noSpace) return null;
    etcd.state.noSpace = true;
    this.#later(500, 20_000, () => {
      etcd.state.noSpace = false;
    });
    return 'a full etcd';
  }

  #etcdMember(): string {
    const { etcd } = this.#cluster;
    const name = this.#pick(etcd.memberNames);
    const condition = this.#pick(['down', 'silent', 'cut-off'] as const);
    etcd.setCondition(name, condition);
    this.#later(100, 8_000, () => etcd.setCondition(name, 'up'));
    return `etcd member ${condition}`;
  }

  #etcdLink(): string | null {
    const { process } = this.#pick([...this.#cluster.resourceManagers.values()]);
    const { etcd } = this.#cluster;
    etcd.block(process.name);
    this.#later(100, 15_000, () => etcd.unblock(process.name));
    return 'cut from etcd';
  }

  #loseAnswer(): string {
    const { etcd } = this.#cluster;
    const method = this.#pick(['transact', 'grantLease', 'keepAlive'] as const);
    if (this.#randomness.fraction() < 0.5) {
      etcd.loseAnswer({ method });
      return `lost answer to ${method}`;
    }
    etcd.delayCall(this.#randomness.between(50, 3_000), { method });
    return `late ${method}`;
  }

  #dropWatches(): string {
    const { etcd } = this.#cluster;
    if (this.#randomness.fraction() < 0.5) etcd.compact();
    etcd.dropWatches();
    return 'watches dropped';
  }

  #operator(): string | null {
    const { etcd, clock } = this.#cluster;
    this.lastRevocationMs = clock.monotonicMs();
    const election = etcd.state.range({
      type: 'range',
      key: '/quartermaster/simulated/election/',
      prefix: true,
    });
    const head = election.keyValues.toSorted((a, b) => (a.createRevision < b.createRevision ? -1 : 1))[0];
    if (head === undefined) return null;
    if (this.#randomness.fraction() < 0.5) {
      etcd.deleteKey(head.key);
      return "operator deletes the leader's key";
    }
    etcd.revokeLease(head.lease);
    return "operator revokes the leader's lease";
  }

  #changeEtcdLeader(): string {
    this.#cluster.etcd.changeLeader();
    return 'change of etcd leader';
  }

  #stepDown(): string | null {
    const leader = this.#cluster.leader();
    if (leader === null) return null;
    const others = [...this.#cluster.resourceManagers.keys()].filter(
      (id) => id !== leader.process.name.split('#')[0],
    );
    const to = this.#randomness.fraction() < 0.5 ? this.#pick(others) : null;
    leader.process.run(() => {
      leader.endpoint.view
        .stepDown({ to: to as ResourceManagerId | null, reason: 'simulated' })
        .catch(() => {});
    });
    return to === null ? 'step-down' : 'step-down to another';
  }
}

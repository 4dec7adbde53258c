import { expect } from 'chai';
import type { JobMaster } from '../../src/jobmaster/job-master.ts';
import type { ResourceManager } from '../../src/resourcemanager/resource-manager.ts';
import { SimulatedCluster, type Running, type TaskExecutorVariant } from './simulated-cluster.ts';
import { SlotUsage } from './slot-usage.ts';

const SMALL = { cpuCores: 1, memoryMB: 512, extended: {} };
const QUALITY = { leastDelayMs: 0.1, mostDelayMs: 1, slowShare: 0, stallShare: 0, breakShare: 0 };
const RESOURCE_MANAGERS = ['rm-1', 'rm-2', 'rm-3'];

/** One task executor of one slot, and two jobs that both want it. */
class Scenario {
  readonly cluster = new SimulatedCluster({
    seed: 1,
    quality: QUALITY,
    resourceManagers: RESOURCE_MANAGERS,
  });
  readonly #usage = new SlotUsage(this.cluster);
  readonly #variant: TaskExecutorVariant;

  constructor(variant: TaskExecutorVariant = { forgetful: true }) {
    this.#variant = variant;
  }

  get leader(): Running<ResourceManager> {
    const leader = this.cluster.leader();
    if (leader === null) throw new Error('nobody leads');
    return leader;
  }

  async start(): Promise<void> {
    for (const id of RESOURCE_MANAGERS) this.cluster.startResourceManager(id);
    this.startTaskExecutor();
    this.cluster.startJobMaster('first');
    this.cluster.startJobMaster('second');
    await this.until(() => this.job('first') !== null && this.job('second') !== null);
  }

  startTaskExecutor(name = 'te-1'): void {
    this.cluster.startTaskExecutor('te-1', [SMALL], { ...this.#variant, name });
  }

  /** Its next process, with the same state, listens elsewhere. */
  startTaskExecutorAt(address: string): void {
    this.cluster.startTaskExecutor('te-1', [SMALL], { ...this.#variant, address });
  }

  job(name: string): JobMaster | null {
    return this.cluster.jobMasters.get(name)?.endpoint.job ?? null;
  }

  holds(name: string): boolean {
    return this.job(name)?.slots.some((slot) => slot.held) === true;
  }

  get taskExecutor(): Running<unknown> {
    const running = this.cluster.taskExecutors.get('te-1');
    if (running === undefined) throw new Error('it is not there');
    return running;
  }

  /** Between the workers named and all resource managers. */
  link(action: 'cut' | 'mend', ...names: string[]): void {
    for (const name of names) {
      for (const rm of RESOURCE_MANAGERS) {
        this.cluster.links[action](`${name}:1`, `${rm}:1`);
        this.cluster.links[action](`${rm}:1`, `${name}:1`);
      }
    }
  }

  until(condition: () => boolean, limitMs = 60_000): Promise<void> {
    const { clock } = this.cluster;
    return clock.until(() => {
      this.#usage.check();
      return condition();
    }, limitMs);
  }

  pass(ms: number): Promise<void> {
    const { clock } = this.cluster;
    const endMs = clock.monotonicMs() + ms;
    return this.until(() => clock.monotonicMs() >= endMs, ms + 10_000);
  }
}

describe('a task executor without a state file, cut off with its job master', () => {
  it('keeps its slot from others when it comes back, though its record was given up long ago', async () => {
    const s = new Scenario();
    await s.start();
    void s.job('first')?.requestSlots(1, SMALL);
    await s.until(() => s.holds('first'));
    s.link('cut', 'te-1', 'first');
    await s.pass(180_000);
    expect(s.holds('first')).to.equal(true);
    void s.job('second')?.requestSlots(1, SMALL);
    // Neither hears of the other's end: the job master goes on until its own deadline.
    s.cluster.links.cut('first:1', 'te-1:1');
    s.cluster.links.cut('te-1:1', 'first:1');
    s.cluster.crash(s.taskExecutor);
    s.link('mend', 'te-1');
    s.startTaskExecutor();
    await s.pass(1_000);
    expect(s.holds('first'), 'it cannot know yet').to.equal(true);
    await s.until(() => s.holds('second'));
    expect(s.holds('first')).to.equal(false);
  });
});

describe('two task executor processes with one id', () => {
  it('end in the newer one alone, and its slot in one hand again', async () => {
    const s = new Scenario();
    await s.start();
    void s.job('first')?.requestSlots(1, SMALL);
    await s.until(() => s.holds('first'));
    // The older one hears nothing of it, and goes on to renew for a while.
    s.link('cut', 'te-1');
    s.startTaskExecutor('te-1-twin');
    void s.job('second')?.requestSlots(1, SMALL);
    const { clock, timing } = s.cluster;
    await clock.advance(5_000);
    expect(s.holds('second'), 'the newer one waits out a lease of the older').to.equal(false);
    s.link('mend', 'te-1');
    await clock.until(() => s.cluster.fatal.some((text) => text.startsWith('te-1: SUPERSEDED')));
    // With one id on two machines leases are unique for each process only, until the last of the older has run out.
    await clock.advance(timing.slotLeaseMs);
    await s.until(() => s.holds('second'));
    expect(s.holds('first')).to.equal(false);
    await s.pass(30_000);
    expect(s.cluster.fatal).to.have.length(1);
    expect(s.holds('second')).to.equal(true);
  });
});

describe('a task executor with a state file that starts again at another address', () => {
  async function holding(): Promise<{ s: Scenario; allocation: string | undefined }> {
    const s = new Scenario({});
    await s.start();
    void s.job('first')?.requestSlots(1, SMALL);
    await s.until(() => s.holds('first'));
    // Just before the next renewal, which is when least of the lease is left.
    await s.pass(0.9 * s.cluster.timing.slotRenewalMs);
    return { s, allocation: s.job('first')?.slots[0]?.allocationId };
  }

  /** For several leases longer it is the same slot, renewed where it is now. */
  async function goesOn(s: Scenario, allocation: string | undefined): Promise<void> {
    await s.pass(4 * s.cluster.timing.slotLeaseMs);
    expect(s.job('first')?.slots.map((slot) => slot.allocationId)).to.deep.equal([allocation]);
    expect(s.holds('first')).to.equal(true);
  }

  it('keeps its claimed leases: their jobs are told where it is', async () => {
    const { s, allocation } = await holding();
    s.cluster.crash(s.taskExecutor);
    s.startTaskExecutorAt('elsewhere:1');
    await goesOn(s, allocation);
  });

  it('keeps them when the leader dies before it has told anybody', async () => {
    const { s, allocation } = await holding();
    const { leader } = s;
    s.cluster.links.cut(leader.address, 'first:1');
    s.cluster.crash(s.taskExecutor);
    s.startTaskExecutorAt('elsewhere:1');
    await s.pass(2_000);
    s.cluster.crash(leader);
    await goesOn(s, allocation);
  });

  it('keeps them when it comes back to another leader, to one that is busy, or twice', async () => {
    const { s, allocation } = await holding();
    s.cluster.crash(s.taskExecutor);
    s.cluster.crash(s.leader);
    s.startTaskExecutorAt('elsewhere:1');
    await s.pass(3_000);
    s.cluster.crash(s.taskExecutor);
    const { leader } = s;
    leader.process.stop();
    s.startTaskExecutorAt('once-more:1');
    await s.pass(300);
    leader.process.resume();
    await goesOn(s, allocation);
  });
});

describe('a first registration that arrives when its process is dead and a newer one has registered', () => {
  /** The registration of that worker with a leader that it has just come to know takes three seconds; it dies meanwhile. */
  async function diesOnItsWay(
    s: Scenario,
    worker: string,
    startWorker: () => Running<unknown>,
  ): Promise<void> {
    const { links } = s.cluster;
    const [leader] = [s.leader];
    const others = RESOURCE_MANAGERS.filter((rm) => `${rm}:1` !== leader.address);
    // Of the leader it hears from the others only, so it has never registered when a standby takes over.
    links.cut(worker, leader.address);
    const dead = startWorker();
    await s.pass(1_000);
    for (const rm of others) links.slow(worker, `${rm}:1`, 3_000);
    s.cluster.crash(leader);
    await s.until(() => s.cluster.leader() !== null);
    await s.pass(500);
    // Nobody is told of its end.
    for (const rm of others) links.cut(worker, `${rm}:1`);
    s.cluster.crash(dead);
    links.heal();
  }

  it('does not put out the newer task executor', async () => {
    const s = new Scenario({});
    for (const id of RESOURCE_MANAGERS) s.cluster.startResourceManager(id);
    s.cluster.startJobMaster('first');
    await s.until(() => s.job('first') !== null);
    await diesOnItsWay(s, 'te-1:1', () => s.cluster.startTaskExecutor('te-1', [SMALL]));
    s.startTaskExecutorAt('elsewhere:1');
    void s.job('first')?.requestSlots(1, SMALL);
    await s.until(() => s.holds('first'), 2_000);
    await s.pass(60_000);
    expect(s.cluster.fatal).to.deep.equal([]);
    expect(s.holds('first')).to.equal(true);
  });

  it('does not put out the newer job master', async () => {
    const s = new Scenario({});
    for (const id of RESOURCE_MANAGERS) s.cluster.startResourceManager(id);
    s.startTaskExecutor();
    await s.until(() => s.cluster.leader() !== null);
    await diesOnItsWay(s, 'first:1', () => s.cluster.startJobMaster('first'));
    s.cluster.startJobMaster('first', 'newer');
    await s.until(() => s.job('newer') !== null, 2_000);
    void s.job('newer')?.requestSlots(1, SMALL);
    await s.until(() => s.holds('newer'), 2_000);
    await s.pass(60_000);
    expect(s.job('newer')?.signal.aborted).to.equal(false);
    expect(s.holds('newer')).to.equal(true);
  });
});

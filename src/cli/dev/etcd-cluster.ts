import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuartermasterError } from '../../core/problem.ts';
import type { Clock } from '../../runtime/clock.ts';
import { SystemClock } from '../../runtime/system-clock.ts';
import { SystemRandomness } from '../../runtime/system-randomness.ts';
import { ChildGuard } from './child-guard.ts';
import { findEtcd } from './etcd-binaries.ts';
import { waitUntilHealthy } from './etcd-health.ts';
import { EtcdMember } from './etcd-member.ts';
import { freePorts, isFree } from './free-ports.ts';

type PortChooser = (count: number) => Promise<number[]>;

export interface EtcdClusterOptions {
  /** 1 at first. */
  readonly members?: 1 | 3;
  /** Kept when given, and the ports with it, so that the same cluster starts again; else temporary. */
  readonly dataDir?: string | undefined;
  /** etcd's own defaults are 100 and 1,000 ms; 20 and 200 are fit for members on one machine. */
  readonly heartbeatIntervalMs?: number;
  readonly electionTimeoutMs?: number;
  /** How long to wait for the whole cluster to answer; 20 s at first. */
  readonly startTimeoutMs?: number;
  readonly clock?: Clock;
  /** Chooses loopback ports that are free at the moment. */
  readonly choosePorts?: PortChooser;
}

/** What the members of one cluster must agree on, and keep with their data. */
interface Plan {
  /** Part of the members' names: tells our own members from whoever else may listen on a port. */
  readonly token: string;
  readonly ports: readonly { readonly client: number; readonly peer: number }[];
}

const START_ATTEMPTS = 5;
const PLAN_FILE = 'quartermaster-etcd.json';
const PORT_LOST = /address already in use|bind: |can't assign requested address/i;

/** A running etcd of one or three members on this machine's loopback. */
export class EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly #guard: ChildGuard;
  /** Where the members keep their data. */
  readonly folder: string;
  readonly #temporary: boolean;
  readonly #startTimeoutMs: number;
  readonly #clock: Clock;

  private constructor(
    members: readonly EtcdMember[],
    guard: ChildGuard,
    folder: string,
    temporary: boolean,
    startTimeoutMs: number,
    clock: Clock,
  ) {
    this.members = members;
    this.#guard = guard;
    this.folder = folder;
    this.#temporary = temporary;
    this.#startTimeoutMs = startTimeoutMs;
    this.#clock = clock;
  }

  /** Client URLs in the order of the members. */
  get urls(): string[] {
    return this.members.map((member) => member.url);
  }

  /**
   * Starts a cluster and resolves when every member answers linearizable reads. Rejects with a
   * `QuartermasterError` that says why when it cannot, and leaves nothing behind then.
   */
  static async start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const { etcd } = findEtcd();
    for (let attempt = 1; ; attempt++) {
      const cluster = await EtcdCluster.#create(etcd, options);
      try {
        for (const member of cluster.members) member.start();
        await cluster.#untilHealthy();
        return cluster;
      } catch (error) {
        const portLost = cluster.members.some((m) => m.pid === null && PORT_LOST.test(m.output));
        await cluster.stop();
        if (options.dataDir !== undefined && portLost) throw await portTaken(options.dataDir, error);
        if (!portLost || attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  static async #create(program: string, options: EtcdClusterOptions): Promise<EtcdCluster> {
    const clock = options.clock ?? new SystemClock();
    const count = options.members ?? 1;
    const temporary = options.dataDir === undefined;
    const folder = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'quartermaster-etcd-')));
    const choosePorts = options.choosePorts ?? freePorts;
    const plan = temporary ? await newPlan(count, choosePorts) : await keptPlan(folder, count, choosePorts);
    const guard = new ChildGuard(temporary ? folder : undefined);
    const nameOf = (index: number): string => `member-${index + 1}-${plan.token}`;
    const peers = plan.ports.map(({ peer }, i) => `${nameOf(i)}=http://127.0.0.1:${peer}`).join(',');
    const members = plan.ports.map(({ client, peer }, index) => {
      const name = nameOf(index);
      const url = `http://127.0.0.1:${client}`;
      const peerUrl = `http://127.0.0.1:${peer}`;
      const flags = {
        name,
        'data-dir': join(folder, `member-${index + 1}`),
        'listen-client-urls': url,
        'advertise-client-urls': url,
        'listen-peer-urls': peerUrl,
        'initial-advertise-peer-urls': peerUrl,
        'initial-cluster': peers,
        'initial-cluster-state': 'new',
        'initial-cluster-token': plan.token,
        'heartbeat-interval': options.heartbeatIntervalMs ?? 100,
        'election-timeout': options.electionTimeoutMs ?? 1_000,
        // The leadership keys are written again and again; without this the store grows for ever.
        'auto-compaction-mode': 'periodic',
        'auto-compaction-retention': '10m',
        logger: 'zap',
        'log-level': 'warn',
        'log-outputs': 'stderr',
      };
      const programArguments = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
      return new EtcdMember({ name, url, program, programArguments, guard, clock });
    });
    const startTimeoutMs = options.startTimeoutMs ?? 20_000;
    return new EtcdCluster(members, guard, folder, temporary, startTimeoutMs, clock);
  }

  /** Starts a member again that has ended, on its data and ports; resolves when it answers. */
  async restart(member: EtcdMember): Promise<void> {
    member.start();
    await waitUntilHealthy([member], this.#startTimeoutMs, this.#clock);
  }

  /** Ends every member; afterwards there is no process, and no file unless a data directory was given. */
  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => (this.#temporary ? member.crash() : member.stop())));
    await this.#guard.release();
    if (this.#temporary) await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  #untilHealthy(): Promise<void> {
    return waitUntilHealthy(this.members, this.#startTimeoutMs, this.#clock);
  }
}

async function newPlan(count: number, choosePorts: PortChooser): Promise<Plan> {
  const numbers = await choosePorts(2 * count);
  const ports = numbers.slice(0, count).map((client, i) => ({ client, peer: numbers[count + i] ?? 0 }));
  return { token: new SystemRandomness().uuid().slice(0, 8), ports };
}

/** The names and ports by which the members of this data directory know each other; new ones the first time. */
async function keptPlan(folder: string, count: number, choosePorts: PortChooser): Promise<Plan> {
  const file = join(folder, PLAN_FILE);
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) {
    const plan = await newPlan(count, choosePorts);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(file, JSON.stringify(plan));
    return plan;
  }
  const plan = JSON.parse(text) as Plan;
  if (plan.ports.length === count) return plan;
  throw new QuartermasterError({
    code: 'CONFLICT',
    detail: `${folder} holds an etcd of ${plan.ports.length}, not of ${count}: choose another data directory.`,
  });
}

async function portTaken(folder: string, cause: unknown): Promise<QuartermasterError> {
  const plan = JSON.parse(await readFile(join(folder, PLAN_FILE), 'utf8')) as Plan;
  const taken: number[] = [];
  for (const port of plan.ports.flatMap(({ client, peer }) => [client, peer])) {
    if (!(await isFree(port))) taken.push(port);
  }
  const detail = `The etcd in ${folder} cannot start, as another process holds its port ${taken.join(', ')}.`;
  return new QuartermasterError({ code: 'CONFLICT', detail }, { cause });
}

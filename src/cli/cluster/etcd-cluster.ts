import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../runtime/clock.ts';
import { SystemClock } from '../../runtime/system-clock.ts';
import { ChildGuard } from './child-guard.ts';
import { findEtcd } from './etcd-binaries.ts';
import { waitUntilHealthy } from './etcd-health.ts';
import { EtcdMember } from './etcd-member.ts';
import { discardPlan, keptPlan, newPlan, portTaken, type EtcdPlan, type PortChooser } from './etcd-plan.ts';
import { freePorts } from './free-ports.ts';

/** Where a member runs that is not on the loopback. */
export interface EtcdPlace {
  /** Address that it listens at, for clients and for the other members. */
  readonly host: string;
  /** A command that runs the command after it there, as the same process. */
  readonly launcher: readonly string[];
}

export interface EtcdClusterOptions {
  /** 1 at first. */
  readonly members?: 1 | 3;
  /** Kept when given, and the ports with it, so that the same cluster starts again; else temporary. */
  readonly dataDir?: string | undefined;
  /** etcd's own defaults are 100 and 1,000 ms; 20 and 200 are fit for members on one machine. */
  readonly heartbeatIntervalMs?: number;
  readonly electionTimeoutMs?: number;
  /** More flags of etcd for every member, without their dashes. */
  readonly extraFlags?: Readonly<Record<string, string | number>>;
  /** How long to wait for the whole cluster to answer; 20 s at first. */
  readonly startTimeoutMs?: number;
  readonly clock?: Clock;
  /** One for each member; without them all are on the loopback. */
  readonly places?: readonly EtcdPlace[] | undefined;
  /** Chooses loopback ports that are free at the moment. */
  readonly choosePorts?: PortChooser;
}

const START_ATTEMPTS = 5;
const PORT_LOST = /address already in use|bind: |can't assign requested address/i;

/** A running etcd of one or three members on this machine, on its loopback unless told otherwise. */
export class EtcdCluster {
  readonly members: readonly EtcdMember[];
  /** Where the members keep their data. */
  readonly folder: string;
  readonly #plan: EtcdPlan;
  readonly #temporary: boolean;
  readonly #guard: ChildGuard;
  readonly #startTimeoutMs: number;
  readonly #clock: Clock;

  private constructor(program: string, options: EtcdClusterOptions, folder: string, plan: EtcdPlan) {
    this.folder = folder;
    this.#plan = plan;
    this.#temporary = options.dataDir === undefined;
    this.#clock = options.clock ?? new SystemClock();
    this.#startTimeoutMs = options.startTimeoutMs ?? 20_000;
    this.#guard = new ChildGuard(this.#temporary ? folder : undefined);
    this.members = plan.ports.map(({ client }, index) => {
      const flags = Object.entries(flagsOf(index, plan, folder, options));
      const [first, ...rest] = [...(options.places?.[index]?.launcher ?? []), program];
      return new EtcdMember({
        name: nameOf(index, plan),
        url: urlOf(index, client, options),
        program: first ?? program,
        programArguments: [...rest, ...flags.map(([flag, value]) => `--${flag}=${value}`)],
        guard: this.#guard,
        clock: this.#clock,
      });
    });
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
        if (options.dataDir !== undefined && cluster.#plan.fresh) await discardPlan(cluster.folder);
        if (!portLost || attempt === START_ATTEMPTS) throw error;
        if (!cluster.#plan.fresh) throw await portTaken(cluster.folder, cluster.#plan, error);
      }
    }
  }

  static async #create(program: string, options: EtcdClusterOptions): Promise<EtcdCluster> {
    const { members = 1, dataDir, choosePorts = freePorts } = options;
    const plan =
      dataDir === undefined
        ? await newPlan(members, choosePorts)
        : await keptPlan(dataDir, members, choosePorts);
    const folder = dataDir ?? (await mkdtemp(join(tmpdir(), 'quartermaster-etcd-')));
    return new EtcdCluster(program, options, folder, plan);
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

function urlOf(index: number, port: number, { places }: EtcdClusterOptions): string {
  return `http://${places?.[index]?.host ?? '127.0.0.1'}:${port}`;
}

function nameOf(index: number, plan: EtcdPlan): string {
  return `member-${index + 1}-${plan.token}`;
}

function flagsOf(
  index: number,
  plan: EtcdPlan,
  folder: string,
  options: EtcdClusterOptions,
): Readonly<Record<string, string | number>> {
  const url = urlOf(index, plan.ports[index]?.client ?? 0, options);
  const peerUrl = urlOf(index, plan.ports[index]?.peer ?? 0, options);
  return {
    name: nameOf(index, plan),
    'data-dir': join(folder, `member-${index + 1}`),
    'listen-client-urls': url,
    'advertise-client-urls': url,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': plan.ports
      .map(({ peer }, i) => `${nameOf(i, plan)}=${urlOf(i, peer, options)}`)
      .join(','),
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
    ...options.extraFlags,
  };
}

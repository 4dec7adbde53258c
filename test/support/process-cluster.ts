import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdCluster, type EtcdClusterOptions } from '../../src/cli/cluster/etcd-cluster.ts';
import { freePorts } from '../../src/cli/cluster/free-ports.ts';
import { JobMaster } from '../../src/sdk/quartermaster.ts';
import { CommandRun } from './command-run.ts';
import { eventually } from './eventually.ts';

const CLUSTER = 'trouble';

/** Seven processes that start at once on a busy machine take their time. */
const SETTLED_MS = 60_000;

/** What fits a slot of the task executor. */
export const SMALL = { cpuCores: 1, memoryMB: 256 };

/** Times that are fit for a test, also on a machine that has much else to do. */
const QUICK = [
  ['--lease-ttl-seconds', '5'],
  ['--slot-lease-ms', '6000'],
  ['--slot-renewal-ms', '500'],
  ['--unclaimed-ms', '6000'],
  ['--heartbeat-interval-ms', '500'],
  ['--heartbeat-timeout-ms', '2000'],
  ['--grace-ms', '2000'],
].flat();

/** What `/v1/leader` answers. */
export interface LeaderAnswer {
  readonly resourceManagerId: string;
  readonly leaderSessionId: string;
  readonly generation: number;
  readonly epoch: string;
}

/** How a cluster of processes is started; `beforeProcesses` may set up what they are to find in etcd. */
export interface ProcessClusterOptions {
  readonly etcd?: EtcdClusterOptions;
  readonly resourceManagerFlags?: readonly string[];
  readonly resourceManagerEnvironment?: Readonly<Record<string, string>>;
  readonly beforeProcesses?: (cluster: ProcessCluster) => Promise<void> | void;
}

/** Real resource managers, a task executor and job masters over an etcd whose members can be troubled. */
export class ProcessCluster {
  readonly etcd: EtcdCluster;
  /** Under this prefix is all that the cluster keeps in etcd. */
  readonly prefix = `/quartermaster/${CLUSTER}/`;
  readonly resourceManagers = new Map<string, CommandRun>();
  /** More flags of etcdctl, as for a user. */
  etcdctlFlags: readonly string[] = [];
  readonly #folder: string;
  readonly #ports: readonly number[];
  readonly #options: ProcessClusterOptions;
  readonly #others: CommandRun[] = [];

  private constructor(etcd: EtcdCluster, ports: readonly number[], options: ProcessClusterOptions) {
    this.etcd = etcd;
    this.#ports = ports;
    this.#folder = mkdtempSync(join(tmpdir(), 'qm-trouble-'));
    this.#options = options;
  }

  /** Three members, three resource managers, a task executor of four slots; resolves when it has registered. */
  static async start(options: ProcessClusterOptions = {}): Promise<ProcessCluster> {
    const etcd = await EtcdCluster.start({
      members: 3,
      heartbeatIntervalMs: 20,
      electionTimeoutMs: 200,
      ...options.etcd,
    });
    const cluster = new ProcessCluster(etcd, await freePorts(4), options);
    try {
      await options.beforeProcesses?.(cluster);
      for (const id of ['rm-1', 'rm-2', 'rm-3']) cluster.startResourceManager(id);
      cluster.startWorker(
        'task-executor',
        '--id=te-1',
        `--listen=127.0.0.1:${cluster.#ports[3]}`,
        '--slots=4',
      );
      await cluster.settled();
      return cluster;
    } catch (error) {
      const words = [...cluster.resourceManagers.values()].map(({ stderr }) => stderr.slice(-2_000));
      await cluster.stop();
      throw new Error(`the cluster did not come up\n${words.join('\n')}`, { cause: error });
    }
  }

  /** Starts a resource manager, or starts it again at the address that it had. */
  startResourceManager(id: string, etcdUrls: readonly string[] = this.etcd.urls): CommandRun {
    const flags = [`--id=${id}`, `--listen=${this.addressOf(id)}`, `--etcd=${etcdUrls.join(',')}`];
    const { resourceManagerFlags = [], resourceManagerEnvironment = {} } = this.#options;
    const run = this.#run(
      'resource-manager',
      [...flags, ...resourceManagerFlags],
      resourceManagerEnvironment,
    );
    this.resourceManagers.set(id, run);
    return run;
  }

  /** Starts a task executor or a job master that knows every resource manager. */
  startWorker(role: 'task-executor' | 'job-master', ...flags: string[]): CommandRun {
    const addresses = [...this.resourceManagers.keys()].map((id) => this.addressOf(id));
    const own = role === 'task-executor' ? ['--slots-die-with-process'] : [];
    const run = this.#run(role, [`--resource-managers=${addresses.join(',')}`, ...own, ...flags], {});
    this.#others.push(run);
    return run;
  }

  /** A job of this very process. */
  register(jobId: string): Promise<JobMaster> {
    const resourceManagers = [...this.resourceManagers.keys()].map((id) => this.addressOf(id));
    return JobMaster.register({ jobId, cluster: CLUSTER, resourceManagers });
  }

  /** A job master, a process of its own, that holds a slot. */
  async holder(job: string): Promise<CommandRun> {
    const run = this.startWorker('job-master', `--job=${job}`, '--slots=1');
    const granted = (): boolean => run.jsonLines.some(({ event }) => event === 'granted');
    await eventually(`${job} has its slot`, granted, SETTLED_MS);
    return run;
  }

  #run(role: string, flags: readonly string[], environment: Readonly<Record<string, string>>): CommandRun {
    const common = [`--cluster=${CLUSTER}`, '--log-format=json'];
    return new CommandRun([role, ...common, ...flags, ...QUICK], environment);
  }

  addressOf(id: string): string {
    return `127.0.0.1:${this.#ports[Number(id.at(-1)) - 1]}`;
  }

  /** Asks one resource manager; null when it does not answer, or answers with a problem. */
  async ask<T>(id: string, path: string): Promise<T | null> {
    try {
      const url = `http://${this.addressOf(id)}${path}`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      return answer.ok ? ((await answer.json()) as T) : null;
    } catch {
      return null;
    }
  }

  /** The id of the one that serves as leader; null when none does. */
  async serving(): Promise<string | null> {
    for (const id of this.resourceManagers.keys()) {
      if ((await this.ask(id, '/leaderz')) !== null) return id;
    }
    return null;
  }

  /** The leader as it says itself; waits until one serves. */
  async leader(limitMs?: number): Promise<LeaderAnswer> {
    let found: LeaderAnswer | null = null;
    await eventually(
      'somebody leads',
      async () => {
        const id = await this.serving();
        found = id === null ? null : await this.ask<LeaderAnswer>(id, '/v1/leader');
        return found !== null;
      },
      limitMs,
    );
    if (found === null) throw new Error('nobody leads');
    return found;
  }

  /** Waits until a leader serves, both others stand by, and the task executor is registered. */
  async settled(): Promise<void> {
    const isWhole = async (): Promise<boolean> => {
      const id = await this.serving();
      if (id === null) return false;
      const overview = await this.ask<{ taskExecutors: number; standbys: { ready: boolean }[] }>(
        id,
        '/v1/overview',
      );
      return overview?.taskExecutors === 1 && overview.standbys.filter(({ ready }) => ready).length === 2;
    };
    await eventually('the cluster is whole', isWhole, SETTLED_MS);
  }

  /** Runs etcdctl over all members, or over the one given. */
  etcdctl(args: readonly string[], urls: readonly string[] = this.etcd.urls): string {
    return execFileSync('etcdctl', [`--endpoints=${urls.join(',')}`, ...this.etcdctlFlags, ...args], {
      env: { ...process.env, ETCDCTL_API: '3' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 10_000,
    });
  }

  /** Number of the member that leads etcd itself. */
  async etcdLeader(): Promise<number> {
    let index = -1;
    await eventually('etcd has a leader', async () => {
      for (const [each, url] of this.etcd.urls.entries()) {
        const status = await memberStatus(url);
        if (status !== null && status.leader !== '0' && status.leader === status.header.member_id) {
          index = each;
          return true;
        }
      }
      return false;
    });
    return index;
  }

  /** Every member runs and answers again. */
  async repairEtcd(): Promise<void> {
    for (const member of this.etcd.members) member.kill('SIGCONT');
    for (const member of this.etcd.members) await this.etcd.restart(member);
  }

  /** Ends every process; nothing is left. */
  async stop(): Promise<void> {
    const all = [...this.#others, ...this.resourceManagers.values()];
    for (const { child } of all) child.kill('SIGKILL');
    await Promise.all(all.map(({ ended }) => ended));
    await this.etcd.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

interface MemberStatus {
  readonly leader: string;
  readonly header: { readonly member_id: string };
}

async function memberStatus(url: string): Promise<MemberStatus | null> {
  try {
    const request = { method: 'POST', body: '{}', signal: AbortSignal.timeout(500) };
    return (await (await fetch(`${url}/v3/maintenance/status`, request)).json()) as MemberStatus;
  } catch {
    return null;
  }
}

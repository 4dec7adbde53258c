import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdCluster } from '../../src/cli/cluster/etcd-cluster.ts';
import { freePorts } from '../../src/cli/cluster/free-ports.ts';
import { eventually } from './eventually.ts';
import { BuiltVersion } from './next-version.ts';
import { SlotLoad } from './slot-load.ts';

type Role = 'resource-manager' | 'task-executor' | 'job-master';

/** Times that are fit for a test. */
const TIMING = {
  leaseTtlSeconds: 5,
  slotLeaseMs: 6_000,
  slotRenewalMs: 1_000,
  unclaimedMs: 3_000,
  heartbeatIntervalMs: 500,
  heartbeatTimeoutMs: 5_000,
};
const FLAGS = Object.entries(TIMING).map(([name, value]) => {
  const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return `--${flag}=${value}`;
});

const CLUSTER = 'upgrade';

/** Five programs that start at once on a busy machine take their time. */
const LIMIT_MS = 60_000;

/** One process of the program, and the lines of its log. */
export class RunningProcess {
  readonly id: string;
  readonly address: string;
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  #text = '';

  constructor(version: BuiltVersion, role: Role, id: string, address: string, flags: readonly string[]) {
    this.id = id;
    this.address = address;
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('QUARTERMASTER_'));
    const common = [`--cluster=${CLUSTER}`, '--log-format=json', ...FLAGS];
    this.child = spawn(process.execPath, [version.main, role, ...common, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: Object.fromEntries(environment),
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (text: Buffer) => (this.#text += text.toString()));
    }
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  /** What it has logged, line by line. */
  get log(): Readonly<Record<string, unknown>>[] {
    return this.#text.split('\n').flatMap((line) => {
      return line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : [];
    });
  }

  get text(): string {
    return this.#text;
  }

  /** Sends the signal and resolves when the process has ended. */
  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return this.ended;
  }
}

/** A cluster of processes that a test starts, ends and replaces one by one; etcd with it. */
export class UpgradeCluster {
  readonly processes: RunningProcess[] = [];
  readonly #etcd: EtcdCluster;
  readonly #ports: number[];
  readonly #folder: string;

  private constructor(etcd: EtcdCluster, ports: number[]) {
    this.#etcd = etcd;
    this.#ports = ports;
    this.#folder = mkdtempSync(join(tmpdir(), 'qm-cluster-'));
  }

  /** An etcd, and ports for three resource managers and some task executors. */
  static async start(): Promise<UpgradeCluster> {
    const etcd = await EtcdCluster.start({ heartbeatIntervalMs: 20, electionTimeoutMs: 200 });
    return new UpgradeCluster(etcd, await freePorts(12));
  }

  /** Addresses of the resource managers, running or not. */
  get seeds(): string[] {
    return this.#ports.slice(0, 3).map((port) => `127.0.0.1:${port}`);
  }

  /** Resource manager `n`, from 0, at its address. */
  resourceManager(n: number, version = BuiltVersion.present, ...more: string[]): RunningProcess {
    const address = `127.0.0.1:${this.#ports[n]}`;
    const id = `rm-${n + 1}`;
    const flags = [`--id=${id}`, `--listen=${address}`, `--etcd=${this.#etcd.urls.join(',')}`, ...more];
    return this.#run(new RunningProcess(version, 'resource-manager', id, address, flags));
  }

  taskExecutor(n: number, slots: number, version = BuiltVersion.present, ...more: string[]): RunningProcess {
    const address = `127.0.0.1:${this.#ports[4 + n]}`;
    const id = `te-${n + 1}`;
    const flags = [`--id=${id}`, `--listen=${address}`, `--resource-managers=${this.seeds.join(',')}`];
    flags.push(`--slots=${slots}`, `--state-file=${join(this.#folder, `${id}.state`)}`, ...more);
    return this.#run(new RunningProcess(version, 'task-executor', id, address, flags));
  }

  jobMaster(jobId: string, slots: number, version = BuiltVersion.present): RunningProcess {
    const flags = [`--job=${jobId}`, `--slots=${slots}`, `--resource-managers=${this.seeds.join(',')}`];
    return this.#run(new RunningProcess(version, 'job-master', jobId, '', flags));
  }

  /** A job over the SDK of that version. */
  load(
    jobId: string,
    size: { readonly held: number; readonly workers: number; readonly registerWithinMs?: number },
    version = BuiltVersion.present,
  ): Promise<SlotLoad> {
    return SlotLoad.start({
      version,
      jobId,
      cluster: CLUSTER,
      resourceManagers: this.seeds,
      timing: TIMING,
      ...size,
    });
  }

  /** The leader's id, as that process or else any resource manager knows it; null while nobody does. */
  async leader(from: readonly RunningProcess[] = this.processes): Promise<string | null> {
    for (const { address } of from) {
      const leader = await ask<{ resourceManagerId: string }>(address, '/v1/leader');
      if (leader !== null) return leader.resourceManagerId;
    }
    return null;
  }

  async ready(process: RunningProcess): Promise<void> {
    await eventually(
      `${process.id} is ready`,
      async () => {
        if (process.child.exitCode !== null) throw new Error(`${process.id} has ended: ${process.text}`);
        return (await ask(process.address, '/readyz')) !== null;
      },
      LIMIT_MS,
    );
  }

  /** Waits until somebody leads and every other resource manager that runs stands ready beside it. */
  async settled(standbys: number): Promise<void> {
    const settled = async (): Promise<boolean> => {
      for (const address of this.seeds) {
        const overview = await ask<{ standbys: { ready: boolean }[] }>(address, '/v1/overview');
        const dead = this.processes.find(({ child }) => child.exitCode !== null);
        if (dead !== undefined) throw new Error(`${dead.id} has ended: ${dead.text}`);
        if (overview?.standbys.filter(({ ready }) => ready).length === standbys) return true;
      }
      return false;
    };
    await eventually('the cluster is settled', settled, LIMIT_MS).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.processes.map(({ text }) => text).join('\n')}`);
    });
  }

  /** Waits until the leader counts that many task executors. */
  async registered(taskExecutors: number): Promise<void> {
    await eventually(`${taskExecutors} task executors are registered`, async () => {
      for (const address of this.seeds) {
        const overview = await ask<{ taskExecutors: number }>(address, '/v1/overview');
        if (overview?.taskExecutors === taskExecutors) return true;
      }
      return false;
    });
  }

  /** Runs etcdctl against the cluster's etcd. */
  etcdctl(...args: readonly string[]): string {
    return execFileSync('etcdctl', [`--endpoints=${this.#etcd.urls.join(',')}`, ...args], {
      env: { ...process.env, ETCDCTL_API: '3' },
      encoding: 'utf8',
      timeout: 10_000,
    });
  }

  /** Names of the cluster's keys in etcd that begin so. */
  keys(folder: string): string[] {
    const text = this.etcdctl('get', '--prefix', '--keys-only', `/quartermaster/${CLUSTER}/${folder}`);
    return text.split('\n').filter((line) => line !== '');
  }

  /** Process ids of etcd's members. */
  get etcdPids(): number[] {
    return this.#etcd.members.flatMap(({ pid }) => (pid === null ? [] : [pid]));
  }

  /** Ends whatever still runs, and etcd. */
  async end(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.end('SIGKILL')));
    await this.#etcd.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #run(process: RunningProcess): RunningProcess {
    this.processes.push(process);
    void process.ended.then(() => this.processes.splice(this.processes.indexOf(process), 1));
    return process;
  }
}

/** The answer of an operator's route; null when there is none or it is a problem. */
export async function ask<T = unknown>(address: string, path: string): Promise<T | null> {
  try {
    const answer = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(1_000) });
    if (!answer.ok) {
      await answer.arrayBuffer();
      return null;
    }
    return (await answer.json()) as T;
  } catch {
    return null;
  }
}

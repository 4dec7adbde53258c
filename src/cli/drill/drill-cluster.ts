import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuartermasterError } from '../../core/problem.ts';
import type { Timing } from '../../core/timing.ts';
import { EtcdCoordinationStore } from '../../ha/etcd/etcd-coordination-store.ts';
import { ChildGuard } from '../cluster/child-guard.ts';
import { EtcdCluster } from '../cluster/etcd-cluster.ts';
import type { EtcdMember } from '../cluster/etcd-member.ts';
import { ProcessSupervisor, type ProcessEnd, type ProcessSpec } from '../cluster/process-supervisor.ts';
import { stablePorts } from '../cluster/stable-ports.ts';
import type { CommandContext } from '../command-context.ts';
import {
  drillProcesses,
  RESOURCE_MANAGERS,
  type ResourceManagerPlace,
  TASK_EXECUTORS,
} from './drill-processes.ts';
import { type JobLine, JobProcess } from './job-process.ts';
import type { CutLinks, DrillNetwork, ProxiedLinks } from './network/drill-network.ts';
import { memberName, NamespaceNetwork } from './network/namespace-network.ts';
import { ProxyNetwork } from './network/proxy-network.ts';

export interface DrillClusterOptions {
  readonly context: CommandContext;
  readonly cluster: string;
  /** Keeps state, logs and journals; temporary and removed at the end when null. */
  readonly folder: string | null;
  readonly timing: Timing;
  readonly logLevel: string;
  readonly etcdMembers: 1 | 3;
  readonly etcdHeartbeatMs: number;
  readonly etcdElectionTimeoutMs: number;
  readonly proxied: ProxiedLinks;
  /** Where `ip` is that makes a namespace for each process; null: all are on the loopback. */
  readonly namespacesBy: string | null;
  /** Names of the jobs that are processes; the last task executor has slots for eight in all, their predecessors' counted. */
  readonly jobs: readonly string[];
  /** Resource managers can be debugged. */
  readonly debuggers: boolean;
  /** A slot of the job that is a process ended although nobody had told it to end. */
  readonly onJobLost: (line: JobLine) => void;
}

const STOP_TIMEOUT_MS = 5_000;

/** The cluster of one drill: processes, links, and their end without remains. */
export class DrillCluster {
  readonly job: JobProcess;
  /** Names of the jobs that are processes. */
  readonly jobs: readonly string[];
  readonly #options: DrillClusterOptions;
  #folder = '';
  #network: DrillNetwork | null = null;
  #etcd: EtcdCluster | null = null;
  #store: EtcdCoordinationStore | null = null;
  #guard: ChildGuard | null = null;
  #supervisor: ProcessSupervisor | null = null;
  #specs = new Map<string, ProcessSpec>();
  #places: readonly ResourceManagerPlace[] = [];
  #unexpected: string | null = null;

  constructor(options: DrillClusterOptions) {
    this.#options = options;
    this.jobs = options.jobs;
    this.job = new JobProcess(options.onJobLost);
  }

  /** Where journals are. */
  get journals(): string {
    return join(this.#folder, 'journals');
  }

  get etcd(): EtcdCluster {
    return present(this.#etcd);
  }

  /** A client of the members themselves, never through a proxy. */
  get store(): EtcdCoordinationStore {
    return present(this.#store);
  }

  get resourceManagers(): readonly ResourceManagerPlace[] {
    return this.#places;
  }

  /** What the jobs need beside the addresses; undefined on the loopback. */
  get secret(): string | undefined {
    return present(this.#network).secret;
  }

  /** The process that ended although nobody wanted it to; null while there is none. */
  get unexpectedEnd(): string | null {
    return this.#unexpected ?? this.#network?.failure ?? null;
  }

  /** Starts the network, etcd and processes; they are not healthy yet. */
  async start(): Promise<void> {
    const { context, folder } = this.#options;
    this.#folder = folder ?? (await mkdtemp(join(tmpdir(), 'quartermaster-drill-')));
    this.#guard = new ChildGuard(folder === null ? this.#folder : undefined);
    mkdirSync(this.journals, { recursive: true, mode: 0o700 });
    this.#network = await this.#openNetwork();
    this.#etcd = await EtcdCluster.start({
      places: this.#network.etcdPlaces,
      members: this.#options.etcdMembers,
      heartbeatIntervalMs: this.#options.etcdHeartbeatMs,
      electionTimeoutMs: this.#options.etcdElectionTimeoutMs,
      clock: context.clock,
    });
    this.#store = new EtcdCoordinationStore({ endpoints: this.#etcd.urls, clock: context.clock });
    this.#supervisor = new ProcessSupervisor({
      clock: context.clock,
      guard: this.#guard,
      restartDelayMs: null,
      stopTimeoutMs: STOP_TIMEOUT_MS,
      onStart: () => {},
      onEnd: (end) => this.#ended(end),
    });
    const specs = await this.#plan();
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
    for (const spec of specs) this.#supervisor.start(spec);
  }

  /** Process number of this one while it runs; throws when it does not. */
  pid(id: string): number {
    const pid = present(this.#supervisor).pid(id);
    if (pid !== null) return pid;
    throw new QuartermasterError({ code: 'UNAVAILABLE', detail: `${id} does not run.` });
  }

  /** Sends a signal in this very turn. */
  signal(id: string, signal: NodeJS.Signals): void {
    process.kill(this.pid(id), signal);
  }

  /** Kills it in this very turn (SIGKILL); resolves when it is gone. */
  async crash(id: string): Promise<void> {
    present(this.#network).refuse(id);
    this.signal(id, 'SIGKILL');
    this.job.forget(id);
    await present(this.#supervisor).stop([id]);
  }

  /** Asks it to end in this very turn (SIGTERM); resolves when it is gone, by force after 5 s. */
  async terminate(id: string): Promise<void> {
    present(this.#network).refuse(id);
    this.job.forget(id);
    await present(this.#supervisor).stop([id]);
  }

  /** Starts one that has ended, with the same flags. */
  async startAgain(id: string): Promise<void> {
    await present(this.#network).accept(id);
    present(this.#supervisor).start(present(this.#specs.get(id) ?? null));
  }

  /** The end of what it has written to its log. */
  lastWords(id: string): string {
    return present(this.#supervisor).lastWords(id);
  }

  /**
   * Cuts this resource manager off: from etcd, or both ways from every other one. What is returned mends these links.
   * From the others only one can be cut off at a time.
   */
  cutOff(id: string, links: CutLinks): () => void {
    return present(this.#network).cutOff(id, links);
  }

  /** Takes a resource manager off the network altogether; only where each has a namespace. */
  unplug(id: string): void {
    present(this.#network).unplug(id);
  }

  /** The same for a member of etcd. */
  unplugMember(member: EtcdMember): void {
    this.unplug(memberName(this.etcd.members.indexOf(member)));
  }

  /** Mends all links. */
  mend(): void {
    this.#network?.mend();
  }

  /** Ends everything in order; afterwards there is no process, and no file unless a folder was given. Never rejects. */
  async stop(): Promise<void> {
    this.mend();
    const supervisor = this.#supervisor;
    if (supervisor !== null) {
      for (const job of this.jobs) this.job.forget(job);
      await supervisor.stop(this.jobs);
      await supervisor.stop(TASK_EXECUTORS.map(({ id }) => id));
      await supervisor.stopAll();
    }
    await this.#store?.close();
    await this.#etcd?.stop();
    const remains = (await this.#network?.close()) ?? [];
    for (const what of remains) this.#options.context.warn(`Not removed: ${what}`);
    await this.#guard?.release();
    if (this.#options.folder === null && this.#folder !== '') {
      await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  #openNetwork(): Promise<DrillNetwork> | DrillNetwork {
    const { context, etcdMembers, proxied, namespacesBy: ip } = this.#options;
    if (ip === null) return new ProxyNetwork(proxied);
    return NamespaceNetwork.open({ context, ip, folder: this.#folder, etcdMembers });
  }

  async #plan(): Promise<ProcessSpec[]> {
    const { context, cluster, timing, logLevel, debuggers } = this.#options;
    const network = present(this.#network);
    const etcdUrls = this.etcd.urls;
    const count = RESOURCE_MANAGERS.length;
    const ports = await stablePorts(
      count * (3 + etcdUrls.length) + TASK_EXECUTORS.length,
      context.randomness,
    );
    const take = (): number => ports.pop() ?? 0;
    const places: ResourceManagerPlace[] = [];
    for (const id of RESOURCE_MANAGERS) {
      const port = take();
      const listen = `${network.hostOf(id)}:${port}`;
      const inspect = debuggers ? `${network.hostOf(id)}:${take()}` : null;
      places.push({ id, listen, ...(await network.linksOf(id, port, etcdUrls, take)), inspect });
    }
    this.#places = places;
    const { environment } = context;
    const specs = drillProcesses({
      common: { cluster, timing, logLevel, environment, folder: this.#folder },
      resourceManagers: places,
      taskExecutorAddresses: TASK_EXECUTORS.map(({ id }) => `${network.hostOf(id)}:${take()}`),
      jobs: this.jobs,
      journals: this.journals,
      onJobLine: (line) => this.job.take(line),
    });
    return specs.map((spec) => network.placed(spec));
  }

  #ended({ name, code, signal }: ProcessEnd): void {
    const how = signal === null ? `with code ${code}` : `by ${signal}`;
    const words = this.lastWords(name).split('\n').slice(-2).join('\n');
    this.#unexpected ??= `${name} ended ${how}, which nobody had asked for. Its last words:\n${words}`;
  }
}

function present<T>(value: T | null): T {
  if (value === null) throw new Error('the cluster was not started');
  return value;
}

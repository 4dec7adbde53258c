import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuartermasterError } from '../../core/problem.ts';
import type { Timing } from '../../core/timing.ts';
import { EtcdCoordinationStore } from '../../ha/etcd/etcd-coordination-store.ts';
import { ChildGuard } from '../cluster/child-guard.ts';
import { EtcdCluster } from '../cluster/etcd-cluster.ts';
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
import { TcpProxy } from './tcp-proxy.ts';

/** Which links of a cluster go through proxies, so that they can be cut. */
export type ProxiedLinks = 'none' | CutLinks | 'all';
/** Links of one resource manager that can be cut. */
export type CutLinks = 'to-etcd' | 'to-resource-managers';

/** The proxies before one resource manager, and those between it and etcd. */
interface Proxies {
  readonly before: TcpProxy[];
  readonly toEtcd: TcpProxy[];
}

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
  /** Names of the jobs that are processes; the last task executor has slots for eight in all, their predecessors' counted. */
  readonly jobs: readonly string[];
  /** Resource managers can be debugged. */
  readonly debuggers: boolean;
  /** A slot of the job that is a process ended although nobody had told it to end. */
  readonly onJobLost: (line: JobLine) => void;
}

const STOP_TIMEOUT_MS = 5_000;
const HOST = '127.0.0.1';

/** The cluster of one drill: processes, links, and their end without remains. */
export class DrillCluster {
  readonly job: JobProcess;
  /** Names of the jobs that are processes. */
  readonly jobs: readonly string[];
  readonly #options: DrillClusterOptions;
  readonly #proxies = new Map<string, Proxies>();
  #folder = '';
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

  /** The process that ended although nobody wanted it to; null while there is none. */
  get unexpectedEnd(): string | null {
    return this.#unexpected;
  }

  /** Starts etcd, proxies and processes; they are not healthy yet. */
  async start(): Promise<void> {
    const { context, folder } = this.#options;
    this.#folder = folder ?? (await mkdtemp(join(tmpdir(), 'quartermaster-drill-')));
    this.#guard = new ChildGuard(folder === null ? this.#folder : undefined);
    mkdirSync(this.journals, { recursive: true, mode: 0o700 });
    this.#etcd = await EtcdCluster.start({
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
    this.#refuse(id);
    this.signal(id, 'SIGKILL');
    this.job.forget(id);
    await present(this.#supervisor).stop([id]);
  }

  /** Asks it to end in this very turn (SIGTERM); resolves when it is gone, by force after 5 s. */
  async terminate(id: string): Promise<void> {
    this.#refuse(id);
    this.job.forget(id);
    await present(this.#supervisor).stop([id]);
  }

  /** Starts one that has ended, with the same flags. */
  async startAgain(id: string): Promise<void> {
    for (const proxy of this.#proxies.get(id)?.before ?? []) await proxy.accept();
    present(this.#supervisor).start(present(this.#specs.get(id) ?? null));
  }

  /** Nobody listens any more at the address of one that is gone: whoever dials is refused there, proxy or not. */
  #refuse(id: string): void {
    for (const proxy of this.#proxies.get(id)?.before ?? []) proxy.refuse();
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
    if (links === 'to-etcd') {
      const own = this.#proxies.get(id)?.toEtcd ?? [];
      for (const proxy of own) proxy.cut('all');
      return () => mendAll(own);
    }
    const others = new Set(RESOURCE_MANAGERS.filter((each) => each !== id));
    for (const [owner, { before }] of this.#proxies) {
      for (const proxy of before) proxy.cut(owner === id ? others : new Set([id]));
    }
    return () => mendAll([...this.#proxies.values()].flatMap(({ before }) => before));
  }

  /** Mends all links. */
  mend(): void {
    mendAll(this.#allProxies());
  }

  #allProxies(): TcpProxy[] {
    return [...this.#proxies.values()].flatMap(({ before, toEtcd }) => [...before, ...toEtcd]);
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
    await Promise.all(this.#allProxies().map((proxy) => proxy.close()));
    await this.#store?.close();
    await this.#etcd?.stop();
    await this.#guard?.release();
    if (this.#options.folder === null && this.#folder !== '') {
      await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  async #plan(): Promise<ProcessSpec[]> {
    const { context, cluster, timing, logLevel, debuggers } = this.#options;
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
      const listen = `${HOST}:${port}`;
      const inspectPort = debuggers ? take() : null;
      places.push({ id, listen, ...(await this.#links(id, port, etcdUrls, take)), inspectPort });
    }
    this.#places = places;
    const { environment } = context;
    return drillProcesses({
      common: { cluster, timing, logLevel, environment, folder: this.#folder },
      resourceManagers: places,
      taskExecutorAddresses: TASK_EXECUTORS.map(() => `${HOST}:${take()}`),
      jobs: this.jobs,
      journals: this.journals,
      onJobLine: (line) => this.job.take(line),
    });
  }

  /** The proxies around one resource manager, and the addresses that lead through them. */
  async #links(
    id: string,
    port: number,
    etcdUrls: readonly string[],
    take: () => number,
  ): Promise<Pick<ResourceManagerPlace, 'advertise' | 'etcdUrls'>> {
    const { proxied } = this.#options;
    const own: Proxies = { before: [], toEtcd: [] };
    this.#proxies.set(id, own);
    const open = async (among: TcpProxy[], targetPort: number): Promise<string> => {
      const proxy = await TcpProxy.listen(take(), targetPort);
      among.push(proxy);
      return `${HOST}:${proxy.port}`;
    };
    const isBefore = proxied === 'to-resource-managers' || proxied === 'all';
    const advertise = isBefore ? await open(own.before, port) : `${HOST}:${port}`;
    if (proxied !== 'to-etcd' && proxied !== 'all') return { advertise, etcdUrls };
    const urls: string[] = [];
    for (const url of etcdUrls) urls.push(`http://${await open(own.toEtcd, Number(new URL(url).port))}`);
    return { advertise, etcdUrls: urls };
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

function mendAll(proxies: readonly TcpProxy[]): void {
  for (const proxy of proxies) proxy.cut(null);
}

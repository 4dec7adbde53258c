import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StoreRecorder } from '../../../src/cli/audit/store-recorder.ts';
import { ChildGuard } from '../../../src/cli/cluster/child-guard.ts';
import { EtcdCluster } from '../../../src/cli/cluster/etcd-cluster.ts';
import { ProcessSupervisor, type ProcessSpec } from '../../../src/cli/cluster/process-supervisor.ts';
import { devPlan } from '../../../src/cli/dev/dev-plan.ts';
import { devProcesses } from '../../../src/cli/dev/dev-processes.ts';
import { preciseWallMs } from '../../../src/cli/drill/drill-clock.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { EtcdCoordinationStore } from '../../../src/ha/etcd/etcd-coordination-store.ts';
import { ClusterKeys } from '../../../src/ha/keys.ts';
import { overviewAnswer } from '../../../src/http/answers.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import { SystemRandomness } from '../../../src/runtime/system-randomness.ts';
import { within } from '../failover/within.ts';
import { ElectionTally } from './election-tally.ts';
import { suspensionsIn, type Suspension } from './suspensions.ts';

/** Name of every such cluster in its own etcd. */
export const CLUSTER = 'bench';
const RESOURCE_MANAGERS = 3;
const STOP_TIMEOUT_MS = 10_000;
const CALL_TIMEOUT_MS = 2_000;
const LOOP_LAG = new URL('./loop-lag.js', import.meta.url).href;

export interface BenchClusterOptions {
  /** Task executors that are processes of their own, with four slots each. */
  readonly taskExecutors: number;
  /** Slots of a job that is a process of its own; 0: no job. */
  readonly jobSlots: number;
  /** More flags of Node for the resource managers. */
  readonly nodeFlags?: readonly string[];
}

/** The longest wait of a process's loop within a quarter of a second that ended then. */
interface LoopLag {
  readonly atWallMs: number;
  readonly lagMs: number;
}

/** Three members of etcd, three resource managers with their default times, workers, and a watch on all that etcd is told. */
export class BenchCluster {
  readonly clock = new SystemClock();
  readonly keys = new ClusterKeys(CLUSTER);
  readonly tally = new ElectionTally(this.keys);
  readonly #options: BenchClusterOptions;
  #folder = '';
  #etcd: EtcdCluster | null = null;
  #store: EtcdCoordinationStore | null = null;
  #recorder: StoreRecorder | null = null;
  #guard: ChildGuard | null = null;
  #supervisor: ProcessSupervisor | null = null;
  #resourceManagers: { readonly id: string; readonly address: string; readonly spec: ProcessSpec }[] = [];
  readonly #ends: string[] = [];

  constructor(options: BenchClusterOptions) {
    this.#options = options;
  }

  /** For logs, state and journals; removed at the end. */
  get folder(): string {
    return this.#folder;
  }

  /** Where the resource managers are reached. */
  get addresses(): readonly string[] {
    return this.#resourceManagers.map(({ address }) => address);
  }

  get resourceManagerIds(): readonly string[] {
    return this.#resourceManagers.map(({ id }) => id);
  }

  /** Processes that ended although nobody had asked for it. */
  get unexpectedEnds(): readonly string[] {
    return this.#ends;
  }

  /** Starts everything; resolves when a leader is confirmed. */
  async start(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'quartermaster-bench-'));
    this.#guard = new ChildGuard(this.#folder);
    this.#etcd = await EtcdCluster.start({ members: 3 });
    this.#store = new EtcdCoordinationStore({ endpoints: this.#etcd.urls, clock: this.clock });
    this.#recorder = new StoreRecorder(this.#store, this.keys.root, this.clock, (events) =>
      this.tally.take(events, preciseWallMs(this.clock)),
    );
    this.#recorder.start();
    this.#supervisor = new ProcessSupervisor({
      clock: this.clock,
      guard: this.#guard,
      restartDelayMs: null,
      stopTimeoutMs: STOP_TIMEOUT_MS,
      onStart: () => {},
      onEnd: ({ name, code, signal }) => this.#ends.push(`${name} (${signal ?? `code ${code}`})`),
    });
    for (const spec of await this.#plan()) this.#supervisor.start(spec);
    if (!(await within(60_000, () => this.tally.confirmed.length > 0))) throw new Error('nobody leads');
  }

  /** Starts one more process that ends with the cluster. */
  run(spec: ProcessSpec): void {
    this.#running.start(spec);
  }

  /** Kills a resource manager in this very turn (SIGKILL); resolves when it is gone. */
  async crash(id: string): Promise<void> {
    const pid = this.#running.pid(id);
    if (pid === null) throw new Error(`${id} does not run`);
    process.kill(pid, 'SIGKILL');
    await this.#running.stop([id]);
  }

  /** Starts a resource manager again that was killed. */
  startAgain(id: string): void {
    const spec = this.#resourceManagers.find((each) => each.id === id)?.spec;
    if (spec !== undefined) this.#running.start(spec);
  }

  /** Asks these to end, and waits. */
  stopProcesses(names: readonly string[]): Promise<void> {
    return this.#running.stop(names);
  }

  /** The cluster in numbers, as its leader answers; null while nobody does. */
  async overview(): Promise<ReturnType<typeof overviewAnswer.parse> | null> {
    for (const address of this.addresses) {
      const answer = await fetch(`http://${address}/v1/overview`, {
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      }).catch(() => null);
      if (answer?.ok !== true) continue;
      return overviewAnswer.parse(await answer.json());
    }
    return null;
  }

  /** What a resource manager has logged so far. */
  logOf(id: string): string {
    return readFileSync(join(this.#folder, `${id}.log`), 'utf8');
  }

  /** Suspensions of every leader that began since then, by the logs. */
  suspensions(sinceWallMs: number): Suspension[] {
    return this.resourceManagerIds
      .flatMap((id) => suspensionsIn(this.logOf(id)))
      .filter(({ fromWallMs }) => fromWallMs >= sinceWallMs);
  }

  /** The longest wait of a resource manager's loop since then. */
  worstLagMs(id: string, sinceWallMs: number): number {
    const lags = this.#lagsOf(id).filter(({ atWallMs }) => atWallMs >= sinceWallMs);
    return lags.reduce((worst, { lagMs }) => Math.max(worst, lagMs), 0);
  }

  /** Ends everything; afterwards no process and no file is left. Never rejects. */
  async stop(): Promise<void> {
    await this.#supervisor?.stopAll();
    this.#recorder?.stop();
    await this.#store?.close();
    await this.#etcd?.stop();
    await this.#guard?.release();
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  get #running(): ProcessSupervisor {
    if (this.#supervisor === null) throw new Error('the cluster was not started');
    return this.#supervisor;
  }

  async #plan(): Promise<ProcessSpec[]> {
    const { taskExecutors, jobSlots, nodeFlags = [] } = this.#options;
    const counts = { resourceManagers: RESOURCE_MANAGERS, taskExecutors };
    const plan = await devPlan(this.#folder, { cluster: CLUSTER, ...counts }, new SystemRandomness());
    const all = devProcesses({
      plan,
      ...counts,
      slots: 4,
      jobSlots,
      etcdUrls: this.#etcd?.urls ?? [],
      folder: this.#folder,
      timing: DEFAULT_TIMING,
      logLevel: 'info',
      environment: process.env,
      onJobLine: () => {},
    });
    this.#resourceManagers = all.flatMap(({ role, id, address, spec }) => {
      if (role !== 'resource-manager' || address === null) return [];
      const environment = { ...spec.environment, LOOP_LAG_FILE: this.#lagFile(id) };
      const args = [...nodeFlags, `--import=${LOOP_LAG}`, ...spec.args];
      return [{ id, address, spec: { ...spec, args, environment } }];
    });
    const workers = all.filter(({ role }) => role !== 'resource-manager').map(({ spec }) => spec);
    return [...this.#resourceManagers.map(({ spec }) => spec), ...workers];
  }

  #lagFile(id: string): string {
    return join(this.#folder, `${id}.lag`);
  }

  #lagsOf(id: string): LoopLag[] {
    const lines = readFileSync(this.#lagFile(id), 'utf8').trim().split('\n');
    return lines.map((line) => {
      const [at, lag] = line.split(' ');
      return { atWallMs: Number(at), lagMs: Number(lag) };
    });
  }
}

/** A program of this folder's neighbours, run by the same Node. */
export function benchProgram(
  url: URL,
  name: string,
  folder: string,
  args: readonly string[],
  onLine: (line: string) => void = () => {},
): ProcessSpec {
  return {
    name,
    program: process.execPath,
    args: [fileURLToPath(url), ...args],
    environment: process.env,
    logFile: join(folder, `${name}.log`),
    onLine,
  };
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { QuartermasterError } from '../../core/problem.ts';
import type { Timing } from '../../core/timing.ts';
import type { CommandContext } from '../command-context.ts';
import { writeContextFile } from '../context-file.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { CANNOT_LISTEN } from '../processes/listen.ts';
import type { DevValues } from '../settings/dev-settings.ts';
import { ChildGuard } from '../cluster/child-guard.ts';
import { devPlan, forgetPlan } from './dev-plan.ts';
import { DEMO_JOB, devProcesses, type DevProcess } from './dev-processes.ts';
import { untilUp } from './dev-readiness.ts';
import { EtcdCluster } from '../cluster/etcd-cluster.ts';
import { EtcdWatch } from './etcd-watch.ts';
import { ProcessSupervisor, type ProcessEnd } from '../cluster/process-supervisor.ts';

export interface DevClusterOptions {
  readonly context: CommandContext;
  readonly values: DevValues;
  readonly timing: Timing;
  /** A process that dies is started again after a second. */
  readonly restart: boolean;
  /** Something worth a line for people. */
  readonly onEvent: (line: string) => void;
}

const RESTART_DELAY_MS = 1_000;
const STOP_TIMEOUT_MS = 5_000;
const START_ATTEMPTS = 3;

/** One line of a job master: a slot that it got, or lost. */
const jobLine = z.object({
  event: z.enum(['granted', 'ended']),
  allocationId: z.string(),
  resourceId: z.string(),
  slotNumber: z.int(),
  grantNumber: z.int(),
});
type JobLine = z.infer<typeof jobLine>;

/** A whole cluster of processes on this machine, and its end without remains. */
export class DevCluster {
  readonly #options: DevClusterOptions;
  /** Aborts a start that is under way. */
  readonly #stopping = new AbortController();
  readonly #held = new Map<string, JobLine>();
  /** Processes that have died and were not started again yet. */
  readonly #restarting = new Set<string>();
  #starting: Promise<void> = Promise.resolve();
  #etcd: EtcdCluster | null = null;
  #etcdWatch: EtcdWatch | null = null;
  #guard: ChildGuard | null = null;
  #supervisor: ProcessSupervisor | null = null;
  #processes: readonly DevProcess[] = [];
  #folder: string | null = null;
  #contextFile: { remove(): void } | null = null;
  #isUp = false;
  #refused: QuartermasterError | null = null;

  constructor(options: DevClusterOptions) {
    this.#options = options;
  }

  /** Client URLs of the etcd members. */
  get etcdUrls(): readonly string[] {
    return this.#etcd?.urls ?? [];
  }

  /** Where state and logs are. */
  get folder(): string {
    return this.#folder ?? '';
  }

  /** The processes of one role, with the numbers that they have now. */
  processes(role: DevProcess['role']): { id: string; address: string; pid: number | null }[] {
    return this.#processes
      .filter((each) => each.role === role)
      .map(({ id, address }) => ({ id, address: address ?? '', pid: this.#supervisor?.pid(id) ?? null }));
  }

  /** Slots that the job holds, `te-1/0`. */
  get heldSlots(): string[] {
    return [...this.#held.values()].map((line) => `${line.resourceId}/${line.slotNumber}`).toSorted();
  }

  /** Resolves when all is up: a leader, every worker registered, the job's slots granted. Rejects with why not. */
  start(): Promise<void> {
    this.#starting = this.#start();
    return this.#starting;
  }

  /** Ends every process in order, also in the middle of a start; afterwards nothing is left. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#starting.catch(() => {});
    this.#contextFile?.remove();
    this.#etcdWatch?.stop();
    const supervisor = this.#supervisor;
    if (supervisor !== null) {
      // Jobs give their slots back while there is a leader to hear it; workers say goodbye to it.
      for (const role of ['job-master', 'task-executor'] as const) {
        await supervisor.stop(this.processes(role).map(({ id }) => id));
      }
      await supervisor.stopAll();
    }
    await this.#etcd?.stop();
    await this.#guard?.release();
    const temporary = this.#options.values.devDataDir === undefined ? this.#folder : null;
    if (temporary !== null) await rm(temporary, { recursive: true, force: true, maxRetries: 3 });
  }

  async #start(): Promise<void> {
    const { context, values, restart } = this.#options;
    const { devDataDir: dataDir } = values;
    this.#folder = dataDir ?? (await mkdtemp(join(tmpdir(), 'quartermaster-dev-')));
    this.#guard = new ChildGuard(dataDir === undefined ? this.#folder : undefined);
    this.#etcd = await EtcdCluster.start({
      members: values.devEtcdMembers === '3' ? 3 : 1,
      dataDir: dataDir === undefined ? undefined : join(dataDir, 'etcd'),
      clock: context.clock,
    });
    if (this.#stopping.signal.aborted) return;
    const restartDelayMs = restart ? RESTART_DELAY_MS : null;
    this.#etcdWatch = new EtcdWatch(this.#etcd, context.clock, restartDelayMs, this.#options.onEvent);
    const supervisor = new ProcessSupervisor({
      clock: context.clock,
      guard: this.#guard,
      restartDelayMs,
      stopTimeoutMs: STOP_TIMEOUT_MS,
      onStart: (name, pid) => this.#started(name, pid),
      onEnd: (end) => this.#ended(end),
    });
    this.#supervisor = supervisor;
    for (let attempt = 1; !this.#stopping.signal.aborted; attempt += 1) {
      try {
        return await this.#startProcesses(this.#folder, this.#etcd, supervisor);
      } catch (error) {
        // Somebody took a port between our look at it and the process that was to listen there.
        const portLost = error instanceof QuartermasterError && error.code === 'CONFLICT';
        if (!portLost || dataDir !== undefined || attempt >= START_ATTEMPTS) throw error;
        await supervisor.stop(this.#processes.map(({ id }) => id));
        await forgetPlan(this.#folder);
      }
    }
  }

  async #startProcesses(folder: string, etcd: EtcdCluster, supervisor: ProcessSupervisor): Promise<void> {
    const { context, values, timing } = this.#options;
    const { cluster } = values;
    const counts = { resourceManagers: values.devResourceManagers, taskExecutors: values.devTaskExecutors };
    const plan = await devPlan(folder, { cluster, ...counts }, context.randomness);
    this.#held.clear();
    this.#refused = null;
    this.#processes = devProcesses({
      plan,
      ...counts,
      slots: values.devSlots,
      jobSlots: values.devJobSlots,
      etcdUrls: etcd.urls,
      folder,
      timing,
      logLevel: values.logLevel,
      environment: context.environment,
      onJobLine: (line) => this.#jobLine(line),
    });
    for (const { spec } of this.#processes) supervisor.start(spec);
    const resourceManagers = this.processes('resource-manager').map(({ address }) => address);
    this.#contextFile?.remove();
    const told = { pid: process.pid, cluster, resourceManagers, etcd: etcd.urls };
    this.#contextFile = writeContextFile(context.environment, told);
    await untilUp({
      clock: context.clock,
      resourceManagers,
      expectedSlots: values.devTaskExecutors * values.devSlots,
      // A job that asks for more than there is waits for slots that somebody adds by hand.
      missingJobSlots: () =>
        Math.min(values.devJobSlots, values.devTaskExecutors * values.devSlots) - this.#held.size,
      refusal: () => this.#refused,
      lastWords: () => supervisor.lastWords('rm-1'),
      signal: this.#stopping.signal,
    });
    this.#isUp = true;
  }

  #started(name: string, pid: number): void {
    if (this.#restarting.delete(name)) this.#options.onEvent(`${name} runs again, process ${pid}`);
  }

  #ended({ name, pid, code, signal, restartInMs }: ProcessEnd): void {
    this.#restarting.add(name);
    if (name === DEMO_JOB) this.#held.clear();
    if (!this.#isUp) this.#refused ??= startRefusal(name, code, this.#supervisor?.lastWords(name));
    const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
    const next = restartInMs === null ? 'and stays down' : 'and is started again in a second';
    this.#options.onEvent(`${name}, process ${pid}, ${how} ${next}`);
  }

  #jobLine(text: string): void {
    let line: JobLine;
    try {
      line = jobLine.parse(JSON.parse(text));
    } catch {
      return;
    }
    const slot = `${line.resourceId}/${line.slotNumber}, grant ${line.grantNumber}`;
    if (line.event === 'granted') {
      this.#held.set(line.allocationId, line);
      this.#options.onEvent(`${DEMO_JOB} got slot ${slot}`);
    } else if (this.#held.delete(line.allocationId)) {
      this.#options.onEvent(`${DEMO_JOB} has no longer slot ${slot}`);
    }
  }
}

/** Why a process that has just ended cannot be started at all; null when it may be tried again. */
function startRefusal(name: string, code: number | null, words = ''): QuartermasterError | null {
  const last = words.split('\n').at(-1) ?? '';
  const detail = `${name} cannot start: ${last.replace(/^quartermaster: /, '')}`;
  if (code === EXIT_CODES.wrongUsage) return new QuartermasterError({ code: 'INVALID', detail });
  if (last.includes(CANNOT_LISTEN)) return new QuartermasterError({ code: 'CONFLICT', detail });
  return null;
}

import type { ChildGuard } from '../../../src/cli/cluster/child-guard.ts';
import { ProcessSupervisor } from '../../../src/cli/cluster/process-supervisor.ts';
import type { StoreEndpoint } from '../../../src/ha/coordination-store.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import type { Report } from './claims.ts';
import type { Effect } from './effects.ts';
import { ElectionLine } from './election-line.ts';
import { machineMs } from './machine-time.ts';
import type { System } from './system.ts';
import { within } from './within.ts';

/** Who leads by the order of the line in etcd. */
export interface Leader {
  readonly candidate: string;
  /** Create revision of its key. */
  readonly epoch: bigint;
  readonly sinceMs: number;
}

const RESTART_DELAY_MS = 500;
const STOP_TIMEOUT_MS = 3_000;
const CLAIM_MS = 10;
/** Who has not said for so long that it leads does not say it any more. */
const QUIET_MS = 300;
const CALM_LIMIT_MS = 90_000;

/** One election under test: its candidates as running processes, its line in etcd, and what the candidates say. */
export class Contest {
  readonly system: System;
  readonly #supervisor: ProcessSupervisor;
  readonly #line: ElectionLine;
  readonly #over = new AbortController();
  readonly #holding = new Set<string>();
  readonly #stopped = new Set<string>();
  readonly #lastClaims = new Map<string, number>();
  #reports: Report[] = [];
  #effects: Effect[] = [];
  #lastEffectMs = -Infinity;

  constructor(system: System, endpoint: StoreEndpoint, guard: ChildGuard) {
    this.system = system;
    this.#line = new ElectionLine(endpoint, system.electionPrefix);
    this.#supervisor = new ProcessSupervisor({
      clock: new SystemClock(),
      guard,
      restartDelayMs: RESTART_DELAY_MS,
      stopTimeoutMs: STOP_TIMEOUT_MS,
      onStart: (candidate) => this.#tell({ candidate, kind: 'started', atMs: machineMs() }),
      onEnd: ({ name }) => this.#tell({ candidate: name, kind: 'stopped', atMs: machineMs() }),
    });
  }

  /** Starts the candidates; they need a while until they are calm. */
  async start(): Promise<void> {
    await this.#line.follow();
    const tell = (report: Report): void => this.#tell(report);
    for (const spec of this.system.specs(tell, (effect) => this.#took(effect))) this.#supervisor.start(spec);
    this.system.askForClaims(tell, this.#over.signal);
    if (!this.system.claimsUntilItsEnd) return;
    const timer = setInterval(() => {
      for (const candidate of this.#holding) {
        if (!this.#stopped.has(candidate)) this.#tell({ candidate, kind: 'leads', atMs: machineMs() });
      }
    }, CLAIM_MS);
    this.#over.signal.addEventListener('abort', () => clearInterval(timer));
  }

  /** Null while nobody is in line. */
  get leader(): Leader | null {
    const head = this.#line.head;
    if (head === null) return null;
    const candidate = this.system.candidateOf(head.keyValue.value);
    if (candidate === null) throw new Error(`${head.keyValue.key} is no candidate's of ${this.system.name}`);
    return { candidate, epoch: head.keyValue.createRevision, sinceMs: head.sinceMs };
  }

  /** What was reported since the last `forget`. */
  get reports(): readonly Report[] {
    return this.#reports;
  }

  /** What had effect since the last `forget`, where somebody fences. */
  get effects(): readonly Effect[] {
    return this.#effects;
  }

  forget(): void {
    this.#reports = [];
    this.#effects = [];
  }

  /** Whether it said just now that it leads. */
  claims(candidate: string): boolean {
    return machineMs() - (this.#lastClaims.get(candidate) ?? -Infinity) < QUIET_MS;
  }

  /** Sends a signal to a candidate's process. */
  signal(candidate: string, signal: NodeJS.Signals): void {
    const pid = this.#supervisor.pid(candidate);
    if (pid === null) throw new Error(`${candidate} does not run:\n${this.#supervisor.lastWords(candidate)}`);
    process.kill(pid, signal);
    const atMs = machineMs();
    if (signal === 'SIGSTOP') this.#tell({ candidate, kind: 'stopped', atMs });
    if (signal === 'SIGCONT') this.#tell({ candidate, kind: 'woken', atMs });
  }

  /** Resolves when every candidate runs and stands in line once, and the first one and nobody else says that it leads. */
  async untilCalm(): Promise<void> {
    let missing: string | null = null;
    const calm = async (): Promise<boolean> => {
      missing = this.#unrest() ?? (await this.system.missing());
      return missing === null;
    };
    if (await within(CALM_LIMIT_MS, calm)) return;
    throw new Error(
      `${this.system.name} does not come to rest within ${CALM_LIMIT_MS / 1_000} s: ${missing}`,
    );
  }

  /** Ends every process. */
  async stop(): Promise<void> {
    this.#over.abort();
    this.#line.stop();
    await this.#supervisor.stopAll();
  }

  #unrest(): string | null {
    const { candidates } = this.system;
    const down = candidates.find((candidate) => this.#supervisor.pid(candidate) === null);
    if (down !== undefined) return `${down} does not run`;
    const line = this.#line.values.map((value) => this.system.candidateOf(value));
    if (line.length !== candidates.length || !candidates.every((each) => line.includes(each))) {
      return `the line is ${line.join(', ') || 'empty'}`;
    }
    const leading = candidates.filter((candidate) => this.claims(candidate));
    if (leading.length !== 1 || leading[0] !== this.leader?.candidate) {
      return `${this.leader?.candidate} is first in line, and ${leading.join(', ') || 'nobody'} says that it leads`;
    }
    if (this.system.fences && machineMs() - this.#lastEffectMs > QUIET_MS) return 'nothing has effect';
    return null;
  }

  #took(effect: Effect): void {
    this.#effects.push(effect);
    this.#lastEffectMs = effect.atMs;
  }

  #tell(report: Report): void {
    const { candidate, kind, atMs } = report;
    this.#reports.push(report);
    if (kind === 'leads') this.#lastClaims.set(candidate, atMs);
    if (!this.system.claimsUntilItsEnd) return;
    if (kind === 'stopped') this.#stopped.add(candidate);
    if (kind === 'started' || kind === 'woken') this.#stopped.delete(candidate);
    if (kind === 'leads') this.#holding.add(candidate);
    if (kind === 'started') this.#holding.delete(candidate);
  }
}

import { QuartermasterError } from '../../core/problem.ts';
import { overviewAnswer, probeAnswer } from '../../http/answers.ts';
import type { Clock } from '../../runtime/clock.ts';
import { ClusterClient } from '../client/cluster-client.ts';
import { pause } from '../pause.ts';
import type { DrillCluster } from './drill-cluster.ts';
import { JOB_PROCESS_SLOTS, RESOURCE_MANAGERS, TASK_EXECUTORS } from './drill-processes.ts';

const CALL_TIMEOUT_MS = 1_000;
const POLL_MS = 50;
const SLOTS = TASK_EXECUTORS.reduce((sum, { slots }) => sum + slots, 0);

/** Waits for a condition on a cluster. */
export class HealthWatch {
  readonly #cluster: DrillCluster;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #clients: readonly ClusterClient[];

  constructor(cluster: DrillCluster, clock: Clock, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#signal = signal;
    this.#clients = cluster.resourceManagers.map(
      ({ listen }) => new ClusterClient({ resourceManagers: [listen], timeoutMs: CALL_TIMEOUT_MS, clock }),
    );
  }

  /**
   * Resolves when `missing` says null; it is asked every 50 ms for what still is. Rejects with `CONFLICT` when time is
   * up or a process has ended by itself, and with the reason of the signal.
   */
  async until(
    missing: () => string | null | Promise<string | null>,
    timeoutMs: number,
    pollMs = POLL_MS,
  ): Promise<void> {
    const endMs = this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      this.#signal.throwIfAborted();
      const ended = this.#cluster.unexpectedEnd;
      if (ended !== null) throw new QuartermasterError({ code: 'CONFLICT', detail: ended });
      const what = await missing();
      if (what === null) return;
      if (this.#clock.monotonicMs() > endMs) {
        const detail = `The cluster waits for ${what} since ${timeoutMs / 1_000} s.`;
        throw new QuartermasterError({ code: 'CONFLICT', detail });
      }
      await pause(this.#clock, pollMs, this.#signal);
    }
  }

  /** Resolves when all run: a leader, warm standbys, every slot in the books, and the slots of the job in hand. */
  untilHealthy(timeoutMs: number): Promise<void> {
    return this.until(() => this.#whatIsMissing(), timeoutMs);
  }

  /** Those that lead or are warm standbys, as they say now. */
  async readyResourceManagers(): Promise<readonly string[]> {
    const ready = await Promise.all(
      this.#clients.map((client) => client.read('/readyz', probeAnswer).then(Boolean, () => false)),
    );
    return RESOURCE_MANAGERS.filter((_, index) => ready[index] === true);
  }

  close(): Promise<unknown> {
    return Promise.all(this.#clients.map((client) => client.close()));
  }

  async #whatIsMissing(): Promise<string | null> {
    const ready = await this.readyResourceManagers();
    const unready = RESOURCE_MANAGERS.find((id) => !ready.includes(id));
    if (unready !== undefined) return `${unready} to be ready`;
    const overview = await this.#clients[0]?.read('/v1/overview', overviewAnswer).catch(() => null);
    if (overview === null || overview === undefined) return 'a leader';
    const warm = overview.standbys.filter(({ connected, ready: isReady }) => connected && isReady).length;
    if (warm < RESOURCE_MANAGERS.length - 1)
      return `${RESOURCE_MANAGERS.length - 1} warm standbys, of ${warm}`;
    const { total, unknown, quarantined } = overview.slots;
    if (total !== SLOTS || unknown + quarantined > 0) {
      return `${SLOTS} slots (${total} known, ${unknown} unknown, ${quarantined} quarantined)`;
    }
    if (overview.recovery !== null) return 'the reports after the take-over';
    const { job, jobs } = this.#cluster;
    return job.held < jobs.length * JOB_PROCESS_SLOTS ? 'the slot of a job master process' : null;
  }
}

import type { JobMaster } from '../../src/jobmaster/job-master.ts';
import type { Slot } from '../../src/jobmaster/slot.ts';
import type { SeededRandomness } from '../support/testing-randomness.ts';
import type { Running, SimulatedCluster } from './simulated-cluster.ts';

const SMALL = { cpuCores: 1, memoryMB: 512, extended: {} };

/** How its user is; times are the longest that chance may choose. */
export interface Habits {
  readonly requestTimeoutMs: number;
  readonly mostPauseMs: number;
  readonly mostHoldMs: number;
}

const PATIENT: Habits = { requestTimeoutMs: 60_000, mostPauseMs: 5_000, mostHoldMs: 60_000 };

type Process = Running<{ job: JobMaster | null }>;

/**
 * The user of one job master process after another under one name: asks for slots, gives up by its signal now
 * and then, holds slots for a while, gives them back. Knows which of its promises have not come to an end.
 */
export class JobCustomer {
  /** What was asked of a process and has not been answered yet. */
  readonly open = new Map<object, { readonly running: Process; readonly what: string }>();
  /** Slots that were lost though nobody gave them back, and why. */
  readonly lost: { readonly resourceId: string; readonly sentence: string }[] = [];
  /** Requests that ended without slots. */
  failures = 0;
  readonly #habits: Habits;
  readonly #cluster: SimulatedCluster;
  readonly #name: string;
  readonly #randomness: SeededRandomness;
  #closed = false;

  constructor(
    cluster: SimulatedCluster,
    name: string,
    randomness: SeededRandomness,
    habits: Habits = PATIENT,
  ) {
    this.#habits = habits;
    this.#cluster = cluster;
    this.#name = name;
    this.#randomness = randomness;
  }

  start(): void {
    this.#cluster.clock.schedule(this.#randomness.between(100, this.#habits.mostPauseMs), () => {
      if (this.#closed) return;
      const running = this.#cluster.jobMasters.get(this.#name);
      const job = running?.endpoint.job ?? null;
      if (running !== undefined && job !== null && job.slots.length === 0) {
        running.process.run(() => this.#ask(running, job));
      }
      this.start();
    });
  }

  /** Asks for nothing more, and gives nothing back. */
  rest(): void {
    this.#closed = true;
  }

  /** Asks for nothing more, and gives everything back. */
  close(): void {
    this.#closed = true;
    const running = this.#cluster.jobMasters.get(this.#name);
    if (running === undefined) return;
    running.process.run(() => {
      for (const slot of running.endpoint.job?.slots ?? []) this.#release(running, slot);
    });
  }

  #ask(running: Process, job: JobMaster): void {
    const randomness = this.#randomness;
    const holdMs = randomness.between(500, this.#habits.mostHoldMs);
    const abort = new AbortController();
    if (randomness.fraction() < 0.2) {
      running.process.clock.schedule(randomness.between(0, 5_000), () => abort.abort());
    }
    const wanted = randomness.between(1, 3);
    const options = { timeoutMs: this.#habits.requestTimeoutMs, signal: abort.signal };
    const key = this.#track(running, `a request for ${wanted} slots`);
    job.requestSlots(wanted, SMALL, options).then(
      (slots) => {
        this.open.delete(key);
        for (const slot of slots) this.#hold(running, slot, holdMs);
      },
      () => {
        this.failures += 1;
        this.open.delete(key);
      },
    );
  }

  #hold(running: Process, slot: Slot, holdMs: number): void {
    let released = false;
    slot.signal.addEventListener('abort', () => {
      if (!released && !this.#closed)
        this.lost.push({
          resourceId: slot.slotId.resourceId,
          sentence: `${this.#name} lost ${slot.allocationId}: ${String(slot.signal.reason)}`,
        });
    });
    running.process.clock.schedule(this.#closed ? 0 : holdMs, () => {
      released = true;
      this.#release(running, slot);
    });
  }

  #release(running: Process, slot: Slot): void {
    const key = this.#track(running, `the release of ${slot.allocationId}`);
    void slot.release().then(() => this.open.delete(key));
  }

  #track(running: Process, what: string): object {
    const key = {};
    this.open.set(key, { running, what });
    return key;
  }
}

import type { Timing } from '../../src/core/timing.ts';
import type { JobMaster, Slot } from '../../src/sdk/quartermaster.ts';
import type { BuiltVersion } from './next-version.ts';

export interface SlotLoadOptions {
  readonly version: BuiltVersion;
  readonly jobId: string;
  readonly cluster: string;
  readonly resourceManagers: readonly string[];
  readonly timing: Partial<Timing>;
  /** Within it a leader must have taken the job; 20 s at first. */
  readonly registerWithinMs?: number | undefined;
  /** Slots that are held from the beginning to the end. */
  readonly held: number;
  /** How many ask for a slot, give it back and ask again, all the time. */
  readonly workers: number;
}

const PROFILE = { cpuCores: 1, memoryMB: 16 };
const REST_MS = 5;

/** A job over the SDK that asks for slots all the time, and what its user saw of failures and delays. */
export class SlotLoad {
  /** Each call that failed, and each lease that ended without having been given back. */
  readonly troubles: string[] = [];
  granted = 0;
  /** Of a single request, in milliseconds. */
  longestMs = 0;
  readonly #job: JobMaster;
  readonly #held: Slot[] = [];
  readonly #stop = new AbortController();
  #workers: Promise<void>[] = [];

  private constructor(job: JobMaster) {
    this.#job = job;
    void job.ended.then((error) => {
      if (error !== null) this.troubles.push(`the job ended: ${error.message}`);
    });
  }

  /** Resolves when the slots to be held are in hand. */
  static async start(options: SlotLoadOptions): Promise<SlotLoad> {
    const { version, held, workers, registerWithinMs = 20_000, ...rest } = options;
    const { JobMaster: client } = await version.sdk();
    const load = new SlotLoad(await client.register({ ...rest, timeoutMs: registerWithinMs }));
    for (const slot of held === 0 ? [] : await load.#job.requestSlots(held, PROFILE, { timeoutMs: 20_000 })) {
      load.#held.push(slot);
      load.#watch(slot);
    }
    load.#workers = Array.from({ length: workers }, () => load.#work());
    return load;
  }

  /** Ends the load, gives everything back, and returns once that is done. */
  async end(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#workers);
    for (const slot of this.#held) if (!slot.held) this.troubles.push(`${name(slot)} is not held any more`);
    this.#held.length = 0;
    await this.#job.close();
  }

  async #work(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const startMs = performance.now();
      try {
        const [slot] = await this.#job.requestSlots(1, PROFILE, { timeoutMs: 20_000 });
        this.granted += 1;
        this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
        let released = false;
        slot?.signal.addEventListener('abort', () => {
          if (!released) this.troubles.push(`${name(slot)} was lost: ${String(slot.signal.reason)}`);
        });
        await pause();
        released = true;
        await slot?.release();
      } catch (error) {
        this.troubles.push(`after ${Math.round(performance.now() - startMs)} ms: ${String(error)}`);
      }
      await pause();
    }
  }

  #watch(slot: Slot): void {
    slot.signal.addEventListener('abort', () => {
      if (this.#held.includes(slot))
        this.troubles.push(`${name(slot)} was lost: ${String(slot.signal.reason)}`);
    });
  }
}

function name({ slotId }: Slot): string {
  return `${slotId.resourceId}/${slotId.slotNumber}`;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, REST_MS));
}

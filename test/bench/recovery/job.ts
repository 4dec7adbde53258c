import { JobMaster, type Slot } from '../../../src/sdk/quartermaster.ts';

const PROFILE = { cpuCores: 1, memoryMB: 1 };
const WAIT_MS = 120_000;

/** A job that holds slots for the whole run, and asks for more when it is told to. */
export class Job {
  held = 0;
  /** Slots that ended though the job had not given them back. */
  lost = 0;
  errors = 0;
  #closing = false;
  readonly #master: JobMaster;

  private constructor(master: JobMaster) {
    this.#master = master;
    void master.ended.then((error) => {
      if (error !== null) this.errors += 1;
    });
  }

  static async register(cluster: string, resourceManagers: readonly string[]): Promise<Job> {
    return new Job(await JobMaster.register({ jobId: 'bench', cluster, resourceManagers }));
  }

  /** Resolves when that many slots are in hand, for the whole run. */
  async hold(count: number): Promise<void> {
    const slots = await this.#master.requestSlots(count, PROFILE, { timeoutMs: WAIT_MS });
    for (const slot of slots) this.#watch(slot);
    this.held += slots.length;
  }

  /** Asks in this very turn, for each slot by itself; resolves to the times of day at which they were claimed, the first one first. */
  async askOneByOne(count: number): Promise<number[]> {
    const claimedWallMs: number[] = [];
    const ask = async (): Promise<void> => {
      const onSlot = (): void => void claimedWallMs.push(performance.timeOrigin + performance.now());
      try {
        const [slot] = await this.#master.requestSlots(1, PROFILE, { timeoutMs: WAIT_MS, onSlot });
        await slot?.release();
      } catch {
        this.errors += 1;
      }
    };
    await Promise.all(Array.from({ length: count }, ask));
    return claimedWallMs;
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#master.close({ timeoutMs: 5_000 });
  }

  #watch(slot: Slot): void {
    slot.signal.addEventListener('abort', () => {
      if (this.#closing) return;
      this.lost += 1;
      this.held -= 1;
    });
  }
}

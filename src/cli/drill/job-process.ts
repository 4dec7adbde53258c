import { z } from 'zod';

const line = z.object({
  event: z.enum(['granted', 'ended']),
  jobId: z.string(),
  allocationId: z.string(),
  resourceId: z.string(),
  slotNumber: z.int(),
  grantNumber: z.int(),
  reason: z.string().optional(),
});

/** A slot that the job which runs as a process has got or lost, as it says on its standard output. */
export type JobLine = z.output<typeof line>;

/** What the jobs that are processes of their own hold, by what they print. */
export class JobProcess {
  readonly #held = new Map<string, JobLine>();
  readonly #onLost: (line: JobLine) => void;

  /** `onLost` is told each slot that ended although nobody had told the process to end. */
  constructor(onLost: (line: JobLine) => void) {
    this.#onLost = onLost;
  }

  get held(): number {
    return this.#held.size;
  }

  /** One line that it has printed; whatever is no such line is left alone. */
  take(text: string): void {
    let parsed: JobLine;
    try {
      parsed = line.parse(JSON.parse(text));
    } catch {
      return;
    }
    if (parsed.event === 'granted') this.#held.set(parsed.allocationId, parsed);
    else if (this.#held.delete(parsed.allocationId)) this.#onLost(parsed);
  }

  /** That job was killed, or told to end: what it held is no longer looked at. */
  forget(jobId: string): void {
    for (const [allocationId, held] of this.#held) if (held.jobId === jobId) this.#held.delete(allocationId);
  }
}

import type { AllocationId, JobId } from '../ids.ts';
import type { Problem } from '../problem.ts';

/** How a request ended, for whoever asks again. */
export interface FinishedRequest {
  readonly jobId: JobId;
  readonly problem: Problem;
}

/**
 * The requests that have ended in this term, so that a late duplicate does not bring one back. It remembers at
 * least the newest `most / 2` and at most `most`.
 */
export class FinishedRequests {
  readonly #half: number;
  #newer = new Map<AllocationId, FinishedRequest>();
  #older = new Map<AllocationId, FinishedRequest>();

  constructor(most: number) {
    this.#half = Math.max(1, Math.floor(most / 2));
  }

  remember(allocationId: AllocationId, finished: FinishedRequest): void {
    this.#newer.set(allocationId, finished);
    if (this.#newer.size < this.#half) return;
    this.#older = this.#newer;
    this.#newer = new Map();
  }

  get(allocationId: AllocationId): FinishedRequest | undefined {
    return this.#newer.get(allocationId) ?? this.#older.get(allocationId);
  }
}

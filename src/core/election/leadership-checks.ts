import type { CheckOutcome } from './election-events.ts';

/**
 * When a leader checks with etcd that its key still stands. A check without an answer is not waited for: the next
 * one is begun soon after and goes to the next endpoint, each of them through everything that serves requests.
 */
export class LeadershipChecks {
  /** The one that is on its way through the contender; a loop that hangs keeps it there, and no other is begun. */
  #probing: number | null = null;
  readonly #unanswered = new Set<number>();
  #lastBegunMs = -Infinity;
  #lastCheck = 0;
  #lastFailed = false;
  #challenged = false;
  #urgent = true;

  /** Number of the latest check. */
  get lastCheck(): number {
    return this.#lastCheck;
  }

  /** Whether a challenge was found that has not been answered. */
  get challenged(): boolean {
    return this.#challenged;
  }

  /** The next check is due at once. */
  hurry(): void {
    this.#urgent = true;
  }

  /** Monotonic time at which the next check is due. */
  dueMs(checkMs: number, resendMs: number): number {
    if (this.#probing !== null) return Infinity;
    if (this.#urgent) return -Infinity;
    const waiting = this.#unanswered.size > 0 || this.#lastFailed;
    return this.#lastBegunMs + (waiting ? Math.min(resendMs, checkMs) : checkMs);
  }

  begin(check: number, nowMs: number): void {
    this.#probing = check;
    this.#lastBegunMs = nowMs;
    this.#lastCheck = check;
    this.#urgent = false;
  }

  /** The check has come back from the contender; false for one that is not awaited. */
  probed(check: number): boolean {
    if (this.#probing !== check) return false;
    this.#probing = null;
    this.#unanswered.add(check);
    return true;
  }

  answered(check: number, outcome: CheckOutcome, purpose: 'look' | 'answer'): void {
    this.#unanswered.delete(check);
    this.#lastFailed = outcome.kind === 'failed';
    if (outcome.kind === 'challenged') {
      if (!this.#challenged) this.#urgent = true;
      this.#challenged = true;
    } else if (outcome.kind === 'standing') {
      // One acknowledgement suffices; the copies before it need not be waited for.
      this.#unanswered.clear();
      if (purpose === 'answer') this.#challenged = false;
    }
  }
}

/** Why a leader makes way for whoever asks: it reaches fewer than half as many task executors; null when it need not. */
export function whyOutreached(outcome: CheckOutcome): string | null {
  if (outcome.kind !== 'challenged' || 2 * outcome.ownReaches >= outcome.askerReaches) return null;
  const { askerReaches, ownReaches } = outcome;
  return `it reaches ${ownReaches} task executors, a standby that asked reaches ${askerReaches}`;
}

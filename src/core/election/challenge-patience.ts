const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 60_000;

/** How long whoever asked a head of the line for nothing keeps quiet: 5 s, doubling to 60 s, anew for each head. */
export class ChallengePatience {
  #epoch: bigint | null = null;
  #waitMs = 0;
  #notBeforeMs = -Infinity;

  /** The head of that epoch has answered; `nowMs` is monotonic. */
  answered(epoch: bigint, nowMs: number): void {
    const again = this.#epoch === epoch && nowMs - this.#notBeforeMs < LONGEST_WAIT_MS;
    this.#epoch = epoch;
    this.#waitMs = again ? Math.min(LONGEST_WAIT_MS, 2 * this.#waitMs) : FIRST_WAIT_MS;
    this.#notBeforeMs = nowMs + this.#waitMs;
  }

  /** That the head of this epoch was asked for nothing is no sign of a bad link to it: it may be asked again at once. */
  forgive(epoch: bigint): void {
    if (this.#epoch === epoch) this.#epoch = null;
  }

  /** Whether the head of that epoch may be asked. */
  mayAsk(epoch: bigint, nowMs: number): boolean {
    return this.#epoch !== epoch || nowMs >= this.#notBeforeMs;
  }
}

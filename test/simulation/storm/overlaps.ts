/** From whom leadership was taken away: the term of that epoch; else anybody. */
export interface Deprived {
  readonly epoch?: bigint;
}

/** Who may still serve, or have ordered something, after a successor was confirmed: nobody else than who was wronged from outside. */
export class Overlaps {
  readonly #excuses: { readonly whose: Deprived; readonly untilMs: number }[] = [];

  allow(whose: Deprived, untilMs: number): void {
    this.#excuses.push({ whose, untilMs });
  }

  /** Whether the leader of that epoch may not know yet that it leads no more. */
  covers(epoch: bigint | null, nowMs: number): boolean {
    return this.#excuses.some(
      ({ whose, untilMs }) => nowMs <= untilMs && (whose.epoch === undefined || whose.epoch === epoch),
    );
  }
}

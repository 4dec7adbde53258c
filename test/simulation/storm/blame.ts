/** Who may have lost something by a fault, and until when that fault is to blame for it. */
export class Blame {
  readonly #untilMs = new Map<string, number>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  strike(name: string, untilMs: number): void {
    this.#untilMs.set(name, Math.max(untilMs, this.#untilMs.get(name) ?? 0));
  }

  has(name: string): boolean {
    return this.#nowMs() <= (this.#untilMs.get(name) ?? -1);
  }

  /** No fault is to blame for what comes later. */
  endBy(atMs: number): void {
    for (const [name, untilMs] of this.#untilMs) this.#untilMs.set(name, Math.min(atMs, untilMs));
  }
}

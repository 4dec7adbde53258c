/** A stretch of time in which this process did not run, or in which its clocks disagree. */
export interface Gap {
  /** What passed on the wall clock but not on the monotonic one, as while a machine sleeps; never negative. */
  readonly lostMs: number;
}

/**
 * Notices that the loop stood still, or that the wall clock left the monotonic one behind (a suspended
 * machine, a clock that was set). Small differences add up until they count.
 */
export class GapDetector {
  readonly #loopMs: number;
  readonly #driftMs: number;
  #lastMs: number;
  #offsetMs: number;

  /** A turn later than `loopMs` after the one before, or clocks that differ by `driftMs`, are a gap. */
  constructor(limits: { loopMs: number; driftMs: number }, nowMs: number, wallMs: number) {
    this.#loopMs = limits.loopMs;
    this.#driftMs = limits.driftMs;
    this.#lastMs = nowMs;
    this.#offsetMs = wallMs - nowMs;
  }

  /** Whether there was a gap up to now; changes nothing, so that it may be asked from anywhere. */
  peek(nowMs: number, wallMs: number): Gap | null {
    const driftMs = wallMs - nowMs - this.#offsetMs;
    const stoodStill = nowMs - this.#lastMs > this.#loopMs;
    if (!stoodStill && Math.abs(driftMs) <= this.#driftMs) return null;
    return { lostMs: Math.max(0, driftMs) };
  }

  /** As `peek`, and starts to count anew: to be called at the begin of each turn. */
  observe(nowMs: number, wallMs: number): Gap | null {
    const gap = this.peek(nowMs, wallMs);
    this.#lastMs = nowMs;
    if (gap !== null) this.#offsetMs = wallMs - nowMs;
    return gap;
  }
}

/** A timer that was set and can be taken back. */
export interface Timer {
  /** After this the callback does not run; harmless when it already has. */
  cancel(): void;
}

/** The only door to time. */
export interface Clock {
  /** Milliseconds on a clock that never goes back and that nobody sets; it may stand still while the machine sleeps. */
  monotonicMs(): number;
  /** Milliseconds since 1970; may jump in either direction. For people, and to notice a machine that slept. */
  wallMs(): number;
  /** Runs the callback once, in a turn of its own, not before `delayMs` have passed. */
  schedule(delayMs: number, callback: () => void): Timer;
}

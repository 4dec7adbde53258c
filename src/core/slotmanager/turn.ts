import type { FencingToken } from '../fencing-token.ts';
import type { Timing } from '../timing.ts';
import type { DoublingDelay } from './doubling-delay.ts';
import { DueQueue } from './due-queue.ts';
import { Outbox } from './outbox.ts';
import type { SlotMatchingStrategy } from './slot-matching.ts';

/** What a slot manager is made with; times in milliseconds. */
export interface SlotManagerSettings {
  /** The term it serves; its command numbers carry generation and epoch. */
  readonly token: FencingToken;
  readonly timing: Timing;
  readonly matching: SlotMatchingStrategy;
  /** Most requests that may wait at once; a request beyond it is answered `OVERLOADED`. */
  readonly maxPendingRequests: number;
  /** How many ended requests are remembered, so that a late duplicate does not bring one back. */
  readonly maxRememberedRequests: number;
  /** How long the brake holds at most, after the grace. */
  readonly brakeMs: number;
  /** How long a task executor or slot that refused is left alone. */
  readonly refusalDelay: DoublingDelay;
  /** How long to wait after a call without a good answer. */
  readonly callDelay: DoublingDelay;
}

/** The time, the settings and the collected effects of the turn that is under way. */
export class Turn {
  nowMs: number;
  readonly settings: SlotManagerSettings;
  readonly due = new DueQueue();
  readonly outbox = new Outbox();

  constructor(settings: SlotManagerSettings, nowMs: number) {
    this.settings = settings;
    this.nowMs = nowMs;
  }
}

import type { Timing } from '../core/timing.ts';
import type { Dialer } from '../rpc/connection.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Journal } from '../runtime/journal.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Prover } from '../runtime/prover.ts';
import type { Randomness } from '../runtime/randomness.ts';

/** Everything of the world outside that a job master uses: real in production, simulated in the simulator. */
export interface JobMasterEnvironment {
  readonly clock: Clock;
  readonly randomness: Randomness;
  /** Dials resource managers and task executors. */
  readonly dialer: Dialer;
  readonly prover: Prover;
  readonly logger: Logger;
  readonly journal: Journal;
  readonly timing: Timing;
}

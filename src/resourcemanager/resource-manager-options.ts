import type { BootNonce, ResourceManagerId } from '../core/ids.ts';
import type { SlotManagerOptions } from '../core/slotmanager/create-slot-manager.ts';
import type { SlotManager } from '../core/slotmanager/slot-manager-events.ts';
import type { SlotMatchingStrategy } from '../core/slotmanager/slot-matching.ts';
import type { Timing } from '../core/timing.ts';
import type { HighAvailabilityServices } from '../ha/high-availability-services.ts';
import type { Dialer } from '../rpc/connection.ts';
import type { Clock } from '../runtime/clock.ts';
import type { FatalHandler } from '../runtime/fatal.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Prover } from '../runtime/prover.ts';
import type { Randomness } from '../runtime/randomness.ts';
import type { WorkerLimits } from './worker-pool.ts';
import type { WorkerProvider } from './worker-provider.ts';

/** Makes the books of one term. */
export type SlotManagerFactory = (
  options: Pick<SlotManagerOptions, 'token' | 'timing' | 'matching' | 'nowMs'>,
) => SlotManager;

/** What a resource manager is made from. */
export interface ResourceManagerOptions {
  readonly cluster: string;
  readonly resourceManagerId: ResourceManagerId;
  /** Where the others reach it, `host:port`, as its candidate key says. */
  readonly address: string;
  /** Of this process, as its candidate key says. */
  readonly bootNonce: BootNonce;
  readonly version: string;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
  readonly timing: Timing;
  /** Closed by whoever made it, after `stop`. */
  readonly highAvailability: HighAvailabilityServices;
  readonly dialer: Dialer;
  readonly prover: Prover;
  /** Which slot serves which request. */
  readonly matching: SlotMatchingStrategy;
  /** Makes the empty books of each term; `createSlotManager` of the core unless given. */
  readonly slotManagerFactory?: SlotManagerFactory;
  /** Null: nobody starts task executors but people. */
  readonly workerProvider: WorkerProvider | null;
  /** `DEFAULT_WORKER_LIMITS` unless given. */
  readonly workerLimits?: WorkerLimits;
  /** Called once, with whatever makes going on impossible. */
  readonly onFatal: FatalHandler;
}

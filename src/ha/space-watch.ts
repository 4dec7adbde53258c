import type { Timer } from '../runtime/clock.ts';
import type { Transaction } from './coordination-store.ts';
import type { ClusterKeys } from './keys.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';

/** A full store refuses a transaction for a put in either branch; one that takes writes finds nothing to write. */
export function lookForSpace(keys: ClusterKeys): Transaction {
  return {
    compare: [{ key: keys.space, target: 'version', result: '<', operand: 0n }],
    success: [{ type: 'put', key: keys.space, value: '' }],
    failure: [{ type: 'range', key: keys.space }],
  };
}

const LOOK_MS = 10_000;
const LOOK_WHILE_FULL_MS = 1_000;

/** Asks every now and then whether the store would take a write, so that people learn of it before a failover does. */
export class SpaceWatch {
  readonly #context: StoreContext;
  readonly #keys: ClusterKeys;
  #timer: Timer | null = null;
  #stopped = false;

  constructor(context: StoreContext, keys: ClusterKeys) {
    this.#context = context;
    this.#keys = keys;
  }

  start(): void {
    this.#later();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Asks now: `full` or `free`; `unknown` when nobody answers within the time of a call. */
  async look(): Promise<'full' | 'free' | 'unknown'> {
    const { clock, timing, space } = this.#context;
    const late = new AbortController();
    const timer = clock.schedule(timing.etcdCallMs, () => late.abort());
    const transaction = lookForSpace(this.#keys);
    const outcome = await sendUntilAnswered(
      this.#context,
      (endpoint) => endpoint.transact(transaction, timing.etcdCallMs),
      {
        name: 'look for space',
        final: ({ kind }) => kind === 'no-space' || kind === 'rejected',
        signal: late.signal,
      },
    );
    timer.cancel();
    if (outcome.kind === 'abandoned') return 'unknown';
    if (outcome.kind === 'refused' && outcome.error.kind === 'no-space') return 'full';
    if (outcome.kind === 'answered') space.accepted();
    return 'free';
  }

  #later(): void {
    const { clock, space } = this.#context;
    this.#timer = clock.schedule(space.full ? LOOK_WHILE_FULL_MS : LOOK_MS, () => {
      void this.look().then(() => {
        if (!this.#stopped) this.#later();
      });
    });
  }
}

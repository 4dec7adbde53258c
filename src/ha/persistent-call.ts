import type { Instant } from '../core/election/leadership-clock.ts';
import type { Timing } from '../core/timing.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { type CoordinationStore, StoreError, type StoreEndpoint } from './coordination-store.ts';
import { EndpointRing } from './endpoint-ring.ts';
import { StoreSpace } from './store-space.ts';

/** What every call to the store needs; shared by all of one process, so that they learn from each other. */
export interface StoreContext {
  readonly ring: EndpointRing;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly logger: Logger;
  readonly space: StoreSpace;
}

export function storeContext(
  store: CoordinationStore,
  clock: Clock,
  timing: Timing,
  logger: Logger,
): StoreContext {
  return { ring: EndpointRing.of(store), clock, timing, logger, space: new StoreSpace(logger) };
}

/** This moment on both clocks. */
export function instant(clock: Clock): Instant {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}

/** `sent` is when the very copy was sent that was answered; `copies` says how many had been sent by then. */
export type CallOutcome<T> =
  | { readonly kind: 'answered'; readonly value: T; readonly sent: Instant; readonly copies: number }
  | { readonly kind: 'refused'; readonly error: StoreError; readonly copies: number }
  /** The signal was aborted; copies under way may still be carried out. */
  | { readonly kind: 'abandoned' };

export interface CallOptions {
  /** For the log. */
  readonly name: string;
  /** Whether this failure is a definite answer; all others are followed by another copy. */
  readonly final?: (error: StoreError) => boolean;
  readonly signal: AbortSignal;
}

const NEVER = (): boolean => false;
const COPIES_TO_WARN = 20;
/** After so many copies a store is not just slow but gone, and need not be asked so often. */
const PATIENT_COPIES = 50;

/** One call that goes on being sent, the same each time, until it is answered. */
class PersistentCall<T> {
  readonly #context: StoreContext;
  readonly #call: (endpoint: StoreEndpoint) => Promise<T>;
  readonly #options: CallOptions;
  readonly #resolve: (outcome: CallOutcome<T>) => void;
  #copies = 0;
  #last: StoreEndpoint | null = null;
  /** Endpoints that refused to take it since the last pause. */
  #refusals = 0;
  #timer: Timer | null = null;
  #done = false;

  constructor(
    context: StoreContext,
    call: (endpoint: StoreEndpoint) => Promise<T>,
    options: CallOptions,
    resolve: (outcome: CallOutcome<T>) => void,
  ) {
    this.#context = context;
    this.#call = call;
    this.#options = options;
    this.#resolve = resolve;
  }

  start(): void {
    const { signal } = this.#options;
    if (signal.aborted) return this.#finish({ kind: 'abandoned' });
    signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#send();
  }

  readonly #onAbort = (): void => this.#finish({ kind: 'abandoned' });

  #send(): void {
    const { ring, clock, timing } = this.#context;
    const endpoint = ring.after(this.#last);
    this.#last = endpoint;
    this.#copies += 1;
    const sent = instant(clock);
    this.#sendAgainAfter(this.#copies < PATIENT_COPIES ? timing.etcdResendMs : this.#patientMs);
    this.#call(endpoint).then(
      (value) => {
        if (this.#done) return;
        ring.prefer(endpoint);
        this.#finish({ kind: 'answered', value, sent, copies: this.#copies });
      },
      (error: unknown) => this.#failed(endpoint, error),
    );
  }

  get #patientMs(): number {
    const { etcdResendMs, etcdCallMs } = this.#context.timing;
    return Math.max(etcdResendMs, etcdCallMs / 2);
  }

  #sendAgainAfter(pauseMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#context.clock.schedule(pauseMs, () => {
      this.#refusals = 0;
      this.#send();
    });
  }

  #failed(endpoint: StoreEndpoint, error: unknown): void {
    if (this.#done) return;
    const failure =
      error instanceof StoreError
        ? error
        : new StoreError('unknown-outcome', String(error), { cause: error });
    if (failure.kind === 'no-space') this.#context.space.refused();
    if ((this.#options.final ?? NEVER)(failure)) {
      return this.#finish({ kind: 'refused', error: failure, copies: this.#copies });
    }
    // The others would say the same, and nothing changes before an operator has seen to it.
    if (failure.kind === 'no-space') return this.#sendAgainAfter(this.#patientMs);
    if (this.#copies % COPIES_TO_WARN === 0) {
      const fields = { call: this.#options.name, endpoint: endpoint.name, error: failure.message };
      this.#context.logger.log('warn', 'etcd does not answer', { ...fields, copies: this.#copies });
    }
    if (failure.kind !== 'not-sent') return;
    this.#refusals += 1;
    if (this.#refusals < this.#context.ring.size) this.#send();
  }

  #finish(outcome: CallOutcome<T>): void {
    if (this.#done) return;
    this.#done = true;
    this.#timer?.cancel();
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#resolve(outcome);
  }
}

/**
 * Sends the call to one endpoint after the other, every `etcdResendMs`, until one of them gives a definite answer
 * or the signal is aborted. Never rejects. Only for calls that do no harm when they are carried out twice, or late.
 */
export function sendUntilAnswered<T>(
  context: StoreContext,
  call: (endpoint: StoreEndpoint) => Promise<T>,
  options: CallOptions,
): Promise<CallOutcome<T>> {
  return new Promise((resolve) => new PersistentCall(context, call, options, resolve).start());
}

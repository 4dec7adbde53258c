import type {
  CoordinationStore,
  RangeOperation,
  StoreEndpoint,
  Transaction,
  WatchListener,
} from '../../src/ha/coordination-store.ts';
import type { Acceptor, CloseReason, ConnectionListener, Dialer } from '../../src/rpc/connection.ts';
import type { Clock, Timer } from '../../src/runtime/clock.ts';
import { MachineClock } from './machine-clock.ts';
import type { VirtualClock } from './virtual-clock.ts';

/**
 * One process: its timers, its sockets and its calls to the store go through here, so that it can be killed
 * (nothing of it ever runs again) or stopped for a while (everything waits, in order, as under SIGSTOP), and
 * so that its machine can be suspended or have clocks of its own.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly #machine: MachineClock;
  readonly #world: VirtualClock;
  readonly #onInput: (what: string) => void;
  #state: 'running' | 'stopped' | 'dead' = 'running';
  #waiting: (() => void)[] = [];

  /** `onInput` is told each frame that reaches the process, for the trace. */
  constructor(name: string, world: VirtualClock, onInput: (what: string) => void, clockRate = 1) {
    this.name = name;
    this.#machine = new MachineClock(world, clockRate);
    this.#world = world;
    this.#onInput = onInput;
    this.clock = {
      monotonicMs: () => this.#machine.monotonicMs(),
      wallMs: () => this.#machine.wallMs(),
      schedule: (delayMs, callback) => this.#schedule(delayMs, callback),
    };
  }

  get alive(): boolean {
    return this.#state !== 'dead';
  }

  /** Neither dead nor stopped. */
  get running(): boolean {
    return this.#state === 'running';
  }

  /** As SIGKILL. */
  kill(): void {
    this.#state = 'dead';
    this.#waiting = [];
  }

  /** Sets the wall clock of its machine, forward or back. */
  jumpWall(byMs: number): void {
    this.#machine.jumpWall(byMs);
  }

  /** As the suspension of its machine: as SIGSTOP, and the monotonic clock stands still. */
  suspend(): void {
    if (this.#state !== 'running') return;
    this.#state = 'stopped';
    this.#machine.freeze();
  }

  /** As SIGSTOP. */
  stop(): void {
    if (this.#state === 'running') this.#state = 'stopped';
  }

  /** As SIGCONT: what came in meanwhile is worked off now, each in a turn of its own. */
  resume(): void {
    if (this.#state !== 'stopped') return;
    this.#state = 'running';
    this.#machine.thaw();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) this.#world.schedule(0, () => this.run(callback));
  }

  /** Runs it now, later when stopped, or never when dead. */
  run(callback: () => void): void {
    if (this.#state === 'running') callback();
    else if (this.#state === 'stopped') this.#waiting.push(callback);
  }

  dialer(dialer: Dialer): Dialer {
    return {
      dial: (address, listener) =>
        dialer.dial(address, {
          onOpen: () => this.run(() => listener.onOpen()),
          onFrame: (frame) => this.run(() => this.#frame(address, frame, listener)),
          onClose: (reason) => this.run(() => this.#closed(address, reason, listener)),
        }),
    };
  }

  acceptor(acceptor: Acceptor): Acceptor {
    return (connection) => {
      const early: ((listener: ConnectionListener) => void)[] = [];
      let listener: ConnectionListener | null = null;
      this.run(() => {
        listener = acceptor(connection);
        for (const call of early) call(listener);
      });
      const pass = (call: (to: ConnectionListener) => void): void =>
        this.run(() => (listener === null ? void early.push(call) : call(listener)));
      return {
        onFrame: (frame) => pass((to) => this.#frame(connection.peer, frame, to)),
        onClose: (reason) => pass((to) => this.#closed(connection.peer, reason, to)),
      };
    };
  }

  store(store: CoordinationStore): CoordinationStore {
    const endpoints = store.endpoints.map((endpoint) => this.#endpoint(endpoint));
    const [first, ...rest] = endpoints;
    if (first === undefined) throw new Error('a store has at least one endpoint');
    return { endpoints: [first, ...rest], close: () => Promise.resolve() };
  }

  #endpoint(endpoint: StoreEndpoint): StoreEndpoint {
    return {
      name: endpoint.name,
      transact: (transaction: Transaction, ms) => this.#gate(() => endpoint.transact(transaction, ms)),
      range: (range: RangeOperation, ms) => this.#gate(() => endpoint.range(range, ms)),
      grantLease: (id, ttl, ms) => this.#gate(() => endpoint.grantLease(id, ttl, ms)),
      keepAlive: (id, ms) => this.#gate(() => endpoint.keepAlive(id, ms)),
      revokeLease: (id, ms) => this.#gate(() => endpoint.revokeLease(id, ms)),
      watch: (range, revision, listener: WatchListener) =>
        endpoint.watch(range, revision, {
          onCreated: () => this.run(() => listener.onCreated()),
          onEvents: (events, at) => this.run(() => listener.onEvents(events, at)),
          onEnd: (reason) => this.run(() => listener.onEnd(reason)),
        }),
    };
  }

  #gate<T>(call: () => Promise<T>): Promise<T> {
    if (this.#state === 'dead') return new Promise(() => {});
    return new Promise((resolve, reject) => {
      call().then(
        (value) => this.run(() => resolve(value)),
        (error: unknown) => this.run(() => reject(error as Error)),
      );
    });
  }

  #frame(peer: string, frame: string, listener: ConnectionListener): void {
    this.#onInput(`<- ${peer} ${frame}`);
    listener.onFrame(frame);
  }

  #closed(peer: string, reason: CloseReason, listener: ConnectionListener): void {
    this.#onInput(`<- ${peer} (${reason.kind}: ${reason.detail})`);
    listener.onClose(reason);
  }

  #schedule(delayMs: number, callback: () => void): Timer {
    let cancelled = false;
    const timer = this.#machine.schedule(delayMs, () => {
      this.run(() => {
        if (!cancelled) callback();
      });
    });
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }
}

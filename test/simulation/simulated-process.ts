import type {
  CoordinationStore,
  RangeOperation,
  StoreEndpoint,
  Transaction,
  TransactionResult,
  WatchListener,
} from '../../src/ha/coordination-store.ts';
import type {
  Acceptor,
  CloseReason,
  Connection,
  ConnectionListener,
  Dialer,
} from '../../src/rpc/connection.ts';
import type { Clock, Timer } from '../../src/runtime/clock.ts';
import type { TaskExecutorStateStore } from '../../src/taskexecutor/state-store.ts';
import { MachineClock } from './machine-clock.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Follows what processes do; what it is told has not happened yet. */
export interface ProcessObserver {
  onSend(process: SimulatedProcess, peer: string, frame: string): void;
  /** It goes on after it was stopped. */
  onResume(process: SimulatedProcess): void;
  onFrame(process: SimulatedProcess, peer: string, frame: string): void;
  onTransaction(process: SimulatedProcess, transaction: Transaction): void;
  /** May look at the answer on its way; `sentMs` is by the clock of the process. */
  answered(
    process: SimulatedProcess,
    transaction: Transaction,
    sentMs: number,
    answer: Promise<TransactionResult>,
  ): Promise<TransactionResult>;
}

const NOBODY: ProcessObserver = {
  onSend: () => {},
  onResume: () => {},
  onFrame: () => {},
  onTransaction: () => {},
  answered: (_process, _transaction, _sentMs, answer) => answer,
};

/**
 * One process: its timers, its sockets and its calls to the store go through here, so that it can be killed
 * (nothing of it ever runs again) or stopped for a while (everything waits, in order, as under SIGSTOP), and
 * so that its machine can be suspended or have clocks of its own.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  /** As `clock`, for its election, which goes on while the process hangs. */
  readonly electionClock: Clock;
  readonly #machine: MachineClock;
  readonly #world: VirtualClock;
  readonly #onInput: (what: string) => void;
  #state: 'running' | 'stopped' | 'dead' = 'running';
  #hangs = false;
  #waiting: (() => void)[] = [];
  /** What it was about to do when it was stopped in the middle of a turn. */
  #withheld: (() => void)[] = [];
  /** Is told what the process is about to do, before it is done: it may be stopped or killed right there. */
  observer: ProcessObserver = NOBODY;

  /** `onInput` is told each frame that reaches the process, for the trace. */
  constructor(name: string, world: VirtualClock, onInput: (what: string) => void, clockRate = 1) {
    this.name = name;
    this.#machine = new MachineClock(world, clockRate);
    this.#world = world;
    this.#onInput = onInput;
    this.electionClock = {
      monotonicMs: () => this.#machine.monotonicMs(),
      wallMs: () => this.#machine.wallMs(),
      schedule: (delayMs, callback) => this.#schedule(delayMs, callback),
    };
    this.clock = {
      ...this.electionClock,
      schedule: (delayMs, callback) => this.#schedule(delayMs, () => this.serve(callback)),
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
    this.#withheld = [];
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

  /**
   * What serves in it hangs for good: it reads no socket, and none of its timers come. Its election goes on, as where
   * that has a thread of its own.
   */
  hang(): void {
    this.#hangs = true;
  }

  /** As SIGCONT: the turn in which it was stopped ends, and what came in meanwhile is worked off, each in a turn of its own. */
  resume(): void {
    if (this.#state !== 'stopped') return;
    this.#state = 'running';
    this.#machine.thaw();
    this.observer.onResume(this);
    const withheld = this.#withheld;
    this.#withheld = [];
    for (const action of withheld) action();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) this.#world.schedule(0, () => this.run(callback));
  }

  /** Runs it now, later when stopped, or never when dead. */
  run(callback: () => void): void {
    if (this.#state === 'running') callback();
    else if (this.#state === 'stopped') this.#waiting.push(callback);
  }

  /** As `run`, for what serves: never once it hangs. */
  serve(callback: () => void): void {
    if (!this.#hangs) this.run(callback);
  }

  dialer(dialer: Dialer): Dialer {
    return {
      dial: (address, listener) => {
        if (this.#state === 'dead')
          return { peer: address, bufferedBytes: 0, send: () => {}, close: () => {} };
        const connection = dialer.dial(address, {
          onOpen: () => this.serve(() => listener.onOpen()),
          onFrame: (frame) => this.serve(() => this.#frame(address, frame, listener)),
          onClose: (reason) => this.serve(() => this.#closed(address, reason, listener)),
        });
        return this.#guarded(connection);
      },
    };
  }

  acceptor(acceptor: Acceptor): Acceptor {
    return (connection) => {
      const early: ((listener: ConnectionListener) => void)[] = [];
      let listener: ConnectionListener | null = null;
      this.serve(() => {
        listener = acceptor(this.#guarded(connection));
        for (const call of early) call(listener);
      });
      const pass = (call: (to: ConnectionListener) => void): void =>
        this.serve(() => (listener === null ? void early.push(call) : call(listener)));
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

  /** Its disk: what is under way when it dies never comes back to it. */
  disk(store: TaskExecutorStateStore): TaskExecutorStateStore {
    return {
      open: (owner) =>
        this.#gate(async () => {
          const open = await store.open(owner);
          return {
            state: open.state,
            save: (state) => this.#gate(() => open.save(state)),
            close: () => this.#gate(() => open.close()),
          };
        }),
    };
  }

  #endpoint(endpoint: StoreEndpoint): StoreEndpoint {
    return {
      name: endpoint.name,
      transact: (transaction: Transaction, ms) => {
        this.observer.onTransaction(this, transaction);
        const sentMs = this.clock.monotonicMs();
        const answer = this.#gate(() => endpoint.transact(transaction, ms));
        return this.observer.answered(this, transaction, sentMs, answer);
      },
      range: (range: RangeOperation, ms) => this.#gate(() => endpoint.range(range, ms)),
      grantLease: (id, ttl, ms) => this.#gate(() => endpoint.grantLease(id, ttl, ms)),
      keepAlive: (id, ms) => this.#gate(() => endpoint.keepAlive(id, ms)),
      revokeLease: (id, ms) => this.#gate(() => endpoint.revokeLease(id, ms)),
      watch: (range, revision, listener: WatchListener) =>
        endpoint.watch(range, revision, {
          onCreated: () => this.run(() => listener.onCreated()),
          onEvents: (events, at) => {
            const repeats = this.repeatedEvents > 0;
            if (repeats) {
              this.repeatedEvents -= 1;
              this.onRepeated('events');
            }
            this.run(() => listener.onEvents(events, at));
            if (repeats) this.run(() => listener.onEvents(events, at));
          },
          onEnd: (reason) => this.run(() => listener.onEnd(reason)),
        }),
    };
  }

  /** So many of the next deliveries of watches come twice. */
  repeatedEvents = 0;

  /** So many of the next frames with slot commands leave a second time, that much later. */
  repeatedCommands = 0;
  repeatedAfterMs = 0;
  /** Is told when something comes or leaves a second time. */
  onRepeated: (what: 'events' | 'commands') => void = () => {};

  /** A connection over which nothing leaves a process that has been stopped or killed. */
  #guarded(connection: Connection): Connection {
    return {
      peer: connection.peer,
      get bufferedBytes() {
        return connection.bufferedBytes;
      },
      send: (frame) => {
        if (this.#state === 'dead') return;
        this.observer.onSend(this, connection.peer, frame);
        this.#emit(() => connection.send(frame));
        if (this.repeatedCommands > 0 && frame.includes('"type":"executeSlotCommands"')) {
          this.repeatedCommands -= 1;
          this.#world.schedule(this.repeatedAfterMs, () => {
            if (this.#state !== 'dead') this.onRepeated('commands');
            this.#emit(() => connection.send(frame));
          });
        }
      },
      close: (detail) => this.#emit(() => connection.close(detail)),
    };
  }

  #emit(action: () => void): void {
    if (this.#state === 'running') action();
    else if (this.#state === 'stopped') this.#withheld.push(action);
  }

  #gate<T>(call: () => Promise<T>): Promise<T> {
    if (this.#state === 'dead') return new Promise(() => {});
    return new Promise((resolve, reject) => {
      this.#emit(() => {
        call().then(
          (value) => this.run(() => resolve(value)),
          (error: unknown) => this.run(() => reject(error as Error)),
        );
      });
    });
  }

  #frame(peer: string, frame: string, listener: ConnectionListener): void {
    this.#onInput(`<- ${peer} ${frame}`);
    this.observer.onFrame(this, peer, frame);
    if (this.#state === 'running') listener.onFrame(frame);
    else this.run(() => listener.onFrame(frame));
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

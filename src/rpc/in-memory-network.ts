import type { Clock } from '../runtime/clock.ts';
import type {
  Acceptor,
  CloseReason,
  Connection,
  ConnectionListener,
  Dialer,
  DialListener,
} from './connection.ts';

/** What a link does with one frame, or with one attempt to connect. */
export type LinkVerdict =
  | { readonly kind: 'deliver'; readonly delayMs: number }
  /** Nothing arrives in this direction any more; the connection stands until somebody gives up. */
  | { readonly kind: 'stall' }
  /** The connection breaks: both sides see `reset`. */
  | { readonly kind: 'break' };

/** How the network behaves between two addresses; asked for each frame and for each attempt to connect. */
export type LinkBehaviour = (from: string, to: string) => LinkVerdict;

const PERFECT: LinkBehaviour = () => ({ kind: 'deliver', delayMs: 0 });
const CONNECT_TIMEOUT_MS = 5_000;

/** One process's end of a connection. Frames keep their order, whatever delay each of them is given. */
class End implements Connection {
  readonly peer: string;
  readonly bufferedBytes = 0;
  readonly #network: InMemoryNetwork;
  readonly #from: string;
  other: End | null = null;
  listener: ConnectionListener | null = null;
  open = true;
  stalled = false;
  lastArrivalMs = 0;

  constructor(network: InMemoryNetwork, from: string, peer: string) {
    this.#network = network;
    this.#from = from;
    this.peer = peer;
  }

  send(frame: string): void {
    if (!this.open) return;
    this.#transmit((other) => other.listener?.onFrame(frame));
  }

  close(detail: string): void {
    if (!this.open) return;
    this.#transmit((other) => other.end({ kind: 'closed', detail }));
    this.end({ kind: 'local', detail });
  }

  /** Tells the owner, in a turn of its own, that it is over. */
  end(reason: CloseReason): void {
    if (!this.open) return;
    this.open = false;
    this.#network.forget(this);
    this.#network.clock.schedule(0, () => this.listener?.onClose(reason));
  }

  #transmit(arrive: (other: End) => void): void {
    const { other } = this;
    if (other === null || this.stalled) return;
    const verdict = this.#network.behaviour(this.#from, this.peer);
    if (verdict.kind === 'stall') {
      this.stalled = true;
      return;
    }
    if (verdict.kind === 'break') {
      other.end({ kind: 'reset', detail: 'the link broke' });
      this.end({ kind: 'reset', detail: 'the link broke' });
      return;
    }
    const { clock } = this.#network;
    this.lastArrivalMs = Math.max(this.lastArrivalMs, clock.monotonicMs() + verdict.delayMs);
    clock.schedule(this.lastArrivalMs - clock.monotonicMs(), () => {
      if (other.open) arrive(other);
    });
  }
}

/** A network within one process, for the `embedded` cluster and for the simulator; links can be made to misbehave. */
export class InMemoryNetwork {
  readonly clock: Clock;
  /** May be replaced at any time; holds for what is sent from then on. */
  behaviour: LinkBehaviour;
  readonly #listeners = new Map<string, Acceptor>();
  readonly #ends = new Map<End, string>();

  constructor(clock: Clock, behaviour: LinkBehaviour = PERFECT) {
    this.clock = clock;
    this.behaviour = behaviour;
  }

  /** Takes connections at that address until `close` is called; throws when somebody listens there. */
  listen(address: string, acceptor: Acceptor): { close(): void } {
    if (this.#listeners.has(address)) throw new Error(`${address} is taken`);
    this.#listeners.set(address, acceptor);
    return {
      close: () => {
        if (this.#listeners.get(address) === acceptor) this.#listeners.delete(address);
      },
    };
  }

  /** Dials on behalf of the process that owns the address `from`. */
  dialer(from: string): Dialer {
    return { dial: (address, listener) => this.#dial(from, address, listener) };
  }

  /** Ends the process at that address: its listener is gone and its connections break, seen by the others only. */
  crash(address: string): void {
    this.#listeners.delete(address);
    for (const [end, owner] of this.#ends) {
      if (owner !== address || !end.open) continue;
      end.open = false;
      end.listener = null;
      this.#ends.delete(end);
      const verdict = this.behaviour(address, end.peer);
      if (verdict.kind !== 'stall') end.other?.end({ kind: 'reset', detail: 'the process ended' });
    }
  }

  /** Lets go of an end that is over; called by the end itself. */
  forget(end: End): void {
    this.#ends.delete(end);
  }

  #dial(from: string, address: string, listener: DialListener): Connection {
    const near = new End(this, from, address);
    near.listener = listener;
    this.#ends.set(near, from);
    const there = this.behaviour(from, address);
    const back = this.behaviour(address, from);
    if (there.kind !== 'deliver' || back.kind !== 'deliver') {
      this.clock.schedule(CONNECT_TIMEOUT_MS, () =>
        near.end({ kind: 'timeout', detail: `${address} does not answer` }),
      );
      return near;
    }
    this.clock.schedule(there.delayMs + back.delayMs, () => {
      if (!near.open) return;
      const acceptor = this.#listeners.get(address);
      if (acceptor === undefined) {
        near.end({ kind: 'refused', detail: `nobody listens at ${address}` });
        return;
      }
      const far = new End(this, address, from);
      far.other = near;
      near.other = far;
      this.#ends.set(far, address);
      far.listener = acceptor(far);
      listener.onOpen();
    });
    return near;
  }
}

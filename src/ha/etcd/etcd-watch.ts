import type { Etcd3, IDuplexStream, IWatchRequest, IWatchResponse } from 'etcd3';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { KeyRange, Watch, WatchEnd, WatchListener } from '../coordination-store.ts';
import { requireLeader } from './etcd-client.ts';
import { decodeEvent, encodeKeyRange } from './etcd-encoding.ts';
import { toWatchEnd } from './etcd-errors.ts';
import { type EtcdLogin, isStaleToken } from './etcd-login.ts';

const OPENING_TIMEOUT_MS = 2_000;

type WatchStream = IDuplexStream<IWatchRequest, IWatchResponse>;

/** One watch on a stream of its own, so that nothing but this watch can hold it up. It never reconnects. */
export class EtcdWatch implements Watch {
  readonly #clock: Clock;
  readonly #listener: WatchListener;
  readonly #onClosed: (watch: EtcdWatch) => void;
  #stream: WatchStream | null = null;
  #openingTimer: Timer | null = null;
  #created = false;
  #ended = false;

  constructor(clock: Clock, listener: WatchListener, onClosed: (watch: EtcdWatch) => void) {
    this.#clock = clock;
    this.#listener = listener;
    this.#onClosed = onClosed;
  }

  cancel(): void {
    this.end({ kind: 'cancelled', detail: 'cancelled by its owner' });
  }

  /** Opens the stream; whatever goes wrong reaches the listener in a later turn. */
  async open(client: Etcd3, login: EtcdLogin, range: KeyRange, startRevision: bigint): Promise<void> {
    this.#openingTimer = this.#clock.schedule(OPENING_TIMEOUT_MS, () =>
      this.end({ kind: 'lost', detail: `the watch did not stand after ${OPENING_TIMEOUT_MS} ms` }),
    );
    try {
      // A stale token makes a stream hang or be refused, a call is told so; and the member needs a quorum for it.
      const ask = async (): Promise<unknown> =>
        client.kv.range(
          { ...encodeKeyRange(range), count_only: true },
          { deadline: this.#clock.wallMs() + OPENING_TIMEOUT_MS, ...(await login.authorization()) },
        );
      await ask().catch((error: unknown) => {
        if (this.#ended || !isStaleToken(error)) throw error;
        return ask();
      });
      const { interceptors = [] } = await login.authorization();
      if (this.#ended) return;
      const stream = await client.watchClient.watch({ interceptors: [requireLeader, ...interceptors] });
      this.#attach(stream);
      stream.write({
        create_request: { ...encodeKeyRange(range), start_revision: startRevision.toString() },
      });
    } catch (error) {
      this.end(toWatchEnd(error));
    }
  }

  /** Ends the watch for this reason, once; the stream is gone afterwards. */
  end(reason: WatchEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#openingTimer?.cancel();
    if (this.#stream !== null) closeStream(this.#stream);
    this.#onClosed(this);
    this.#listener.onEnd(reason);
  }

  #attach(stream: WatchStream): void {
    stream.on('data', (response) => this.#onResponse(response));
    stream.on('error', (error) => this.end(toWatchEnd(error)));
    stream.on('end', () => this.end({ kind: 'lost', detail: 'the member closed the watch' }));
    if (this.#ended) closeStream(stream);
    else this.#stream = stream;
  }

  #onResponse(response: IWatchResponse): void {
    if (this.#ended) return;
    if (response.created && !this.#created) {
      this.#created = true;
      this.#openingTimer?.cancel();
      if (!response.canceled) this.#listener.onCreated();
    }
    if (response.canceled) {
      const compactedRevision = BigInt(response.compact_revision);
      this.end(
        compactedRevision > 0n
          ? { kind: 'compacted', detail: `compacted up to revision ${compactedRevision}`, compactedRevision }
          : { kind: 'refused', detail: response.cancel_reason || 'the member cancelled the watch' },
      );
      return;
    }
    const last = response.events.at(-1);
    if (last === undefined) return;
    this.#listener.onEvents(response.events.map(decodeEvent), BigInt(last.kv.mod_revision));
  }
}

/** Ended before it is cancelled: etcd3 closes every connection when a stream that can still be written to fails. */
export function closeStream(stream: { end(): void; cancel(): void }): void {
  stream.end();
  stream.cancel();
}

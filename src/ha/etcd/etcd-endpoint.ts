import type { CallOptions } from '@grpc/grpc-js';
import type { Etcd3, ILeaseKeepAliveResponse } from 'etcd3';
import type { Clock } from '../../runtime/clock.ts';
import {
  StoreError,
  type KeyRange,
  type RangeOperation,
  type RangeResult,
  type StoreEndpoint,
  type Transaction,
  type TransactionResult,
  type Watch,
  type WatchListener,
} from '../coordination-store.ts';
import {
  checkKeyRange,
  checkLeaseId,
  checkRangeOperation,
  checkStartRevision,
  checkTimeout,
  checkTransaction,
  checkTtl,
} from '../store-request.ts';
import { decodeKeyValue, decodeTransaction, encodeRange, encodeTransaction } from './etcd-encoding.ts';
import { toStoreError, toWatchEnd } from './etcd-errors.ts';
import { type EtcdLogin, isStaleToken } from './etcd-login.ts';
import { closeStream, EtcdWatch } from './etcd-watch.ts';

/** How much sooner than our own timer gRPC gives up, so that its better explanation of the failure arrives. */
const GRPC_HEAD_START = 0.05;
const CLOSED = 'the store was closed';

/** One etcd member through one etcd3 client. Closing it ends its calls and watches. */
export class EtcdEndpoint implements StoreEndpoint {
  readonly name: string;
  readonly #client: Etcd3;
  readonly #login: EtcdLogin;
  readonly #clock: Clock;
  readonly #abandon = new Set<(error: StoreError) => void>();
  readonly #watches = new Set<EtcdWatch>();
  #closed = false;

  constructor(name: string, client: Etcd3, login: EtcdLogin, clock: Clock) {
    this.name = name;
    this.#client = client;
    this.#login = login;
    this.#clock = clock;
  }

  transact(transaction: Transaction, timeoutMs: number): Promise<TransactionResult> {
    return this.#call(timeoutMs, async (options) => {
      checkTransaction(transaction);
      const response = await this.#client.kv.txn(encodeTransaction(transaction), options);
      return decodeTransaction(transaction, response);
    });
  }

  range(range: RangeOperation, timeoutMs: number): Promise<RangeResult> {
    return this.#call(timeoutMs, async (options) => {
      checkRangeOperation(range);
      const response = await this.#client.kv.range(encodeRange(range), options);
      return {
        keyValues: response.kvs.map(decodeKeyValue),
        more: response.more,
        revision: BigInt(response.header.revision),
      };
    });
  }

  grantLease(leaseId: bigint, ttlSeconds: number, timeoutMs: number): Promise<{ ttlSeconds: number }> {
    return this.#call(timeoutMs, async (options) => {
      checkLeaseId(leaseId);
      checkTtl(ttlSeconds);
      const response = await this.#client.leaseClient.leaseGrant(
        { ID: leaseId.toString(), TTL: String(ttlSeconds) },
        options,
      );
      return { ttlSeconds: Number(response.TTL) };
    });
  }

  keepAlive(leaseId: bigint, timeoutMs: number): Promise<{ ttlSeconds: number }> {
    return this.#call(timeoutMs, async ({ deadline: _, ...options }, onGiveUp) => {
      checkLeaseId(leaseId);
      // A stream for this one keepalive: one that got stuck cannot hold up the next. Our own deadline closes it;
      // gRPC's would make etcd3 throw the connection away.
      const stream = await this.#client.leaseClient.leaseKeepAlive(options);
      onGiveUp(() => closeStream(stream));
      const response = await new Promise<ILeaseKeepAliveResponse>((resolve, reject) => {
        stream.on('data', resolve);
        stream.on('error', reject);
        stream.on('end', () =>
          reject(new StoreError('unknown-outcome', 'the member ended the stream unanswered')),
        );
        stream.write({ ID: leaseId.toString() });
      });
      stream.end();
      // etcd says "no such lease" by a time to live of 0.
      const ttlSeconds = Number(response.TTL);
      if (ttlSeconds > 0) return { ttlSeconds };
      throw new StoreError('lease-not-found', `lease ${leaseId.toString(16)} does not exist`);
    });
  }

  revokeLease(leaseId: bigint, timeoutMs: number): Promise<void> {
    return this.#call(timeoutMs, async (options) => {
      checkLeaseId(leaseId);
      await this.#client.leaseClient.leaseRevoke({ ID: leaseId.toString() }, options);
    });
  }

  watch(range: KeyRange, startRevision: bigint, listener: WatchListener): Watch {
    const watch = new EtcdWatch(this.#clock, listener, (ended) => this.#watches.delete(ended));
    this.#watches.add(watch);
    try {
      checkKeyRange(range);
      checkStartRevision(startRevision);
      if (this.#closed) throw new StoreError('not-sent', CLOSED);
      void watch.open(this.#client, this.#login, range, startRevision);
    } catch (error) {
      this.#clock.schedule(0, () => watch.end(toWatchEnd(error)));
    }
    return watch;
  }

  /** Rejects what is under way and releases the connections. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const abandon of this.#abandon) abandon(new StoreError('unknown-outcome', CLOSED));
    for (const watch of this.#watches) watch.end({ kind: 'lost', detail: CLOSED });
    this.#client.close();
  }

  /** Settles within `timeoutMs`, whatever etcd3 and gRPC do; what they say afterwards is dropped. */
  #call<T>(
    timeoutMs: number,
    send: (options: CallOptions, onGiveUp: (close: () => void) => void) => Promise<T>,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      checkTimeout(timeoutMs);
      if (this.#closed) throw new StoreError('not-sent', CLOSED);
      let closeCall: (() => void) | null = null;
      let settled = false;
      const settle = (): boolean => {
        if (settled) return false;
        settled = true;
        timer.cancel();
        this.#abandon.delete(giveUp);
        return true;
      };
      const giveUp = (error: StoreError): void => {
        if (!settle()) return;
        closeCall?.();
        reject(error);
      };
      const timer = this.#clock.schedule(timeoutMs, () =>
        giveUp(new StoreError('unknown-outcome', `${this.name} did not answer within ${timeoutMs} ms`)),
      );
      this.#abandon.add(giveUp);
      const onGiveUp = (close: () => void): void => {
        if (settled) close();
        else closeCall = close;
      };
      const deadline = this.#clock.wallMs() + timeoutMs * (1 - GRPC_HEAD_START);
      const dispatch = async (): Promise<T> => {
        const authorization = await this.#login.authorization();
        if (settled) throw new StoreError('not-sent', 'given up before it was sent');
        return send({ deadline, ...authorization }, onGiveUp);
      };
      // Refused for its token alone, it was not sent, and a leader's check can wait for a login, but not for its next turn.
      const dispatchAgain = (error: unknown): Promise<T> => {
        if (settled || !isStaleToken(error)) throw error;
        return dispatch();
      };
      dispatch()
        .catch(dispatchAgain)
        .then(
          (value) => settle() && resolve(value),
          (error: unknown) => giveUp(toStoreError(error)),
        );
    });
  }
}

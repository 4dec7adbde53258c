import {
  StoreError,
  type CoordinationStore,
  type KeyValue,
  type StoreEndpoint,
  type StoreErrorKind,
  type Transaction,
  type TransactionResult,
  type WatchEnd,
  type WatchEvent,
  type WatchListener,
} from '../../src/ha/coordination-store.ts';

/** Deadline of a call that is expected to be answered. */
export const CALL_MS = 5_000;

/** An etcd of three members or one, real or modelled, as the contract suite handles it. Members are numbered from 0. */
export interface StoreUnderTest {
  /** A client of its own over all members, in order. */
  connect(): CoordinationStore;
  /** Waits for a call; in a model this is what lets time pass. */
  answer<T>(call: Promise<T>): Promise<T>;
  /** Lets time pass until the condition holds; rejects, saying what did not, after `limitMs`. */
  until(what: string, condition: () => boolean, limitMs?: number): Promise<void>;
  /** The time that the store goes by. */
  nowMs(): number;
  /** The member's process is stopped: its connections stand, but nobody answers. */
  silence(member: number): Promise<void>;
  /** The member's process is gone. */
  kill(member: number): Promise<void>;
  /** Every member runs again and the whole is healthy. */
  repair(): Promise<void>;
  compact(revision: bigint): Promise<void>;
  setNoSpace(noSpace: boolean): Promise<void>;
  stop(): Promise<void>;
}

/** What the tests of one part of the contract share: a store, and keys that no other test uses. */
export interface StoreContext {
  readonly store: StoreUnderTest;
  readonly client: CoordinationStore;
  readonly endpoint: StoreEndpoint;
  /** Prefix of the keys of this test. */
  readonly prefix: string;
  /** Another store, of one member where members could differ, for what later tests must not find. */
  readonly startAnother: () => Promise<StoreUnderTest>;
  readonly transact: (transaction: Partial<Transaction>) => Promise<TransactionResult>;
  /** Resolves to the revision of the write. */
  readonly put: (key: string, value: string, lease?: bigint) => Promise<bigint>;
  readonly get: (key: string) => Promise<KeyValue | undefined>;
}

/** Remembers what a watch said. */
export class RecordingWatchListener implements WatchListener {
  created = 0;
  readonly batches: { readonly events: readonly WatchEvent[]; readonly revision: bigint }[] = [];
  readonly ends: WatchEnd[] = [];

  onCreated(): void {
    this.created += 1;
  }

  onEvents(events: readonly WatchEvent[], revision: bigint): void {
    this.batches.push({ events, revision });
  }

  onEnd(reason: WatchEnd): void {
    this.ends.push(reason);
  }

  get events(): WatchEvent[] {
    return this.batches.flatMap(({ events }) => events);
  }

  /** Events as short text: `put KEY=VALUE` or `delete KEY`. */
  get texts(): string[] {
    return this.events.map((event) =>
      event.type === 'put' ? `put ${event.keyValue.key}=${event.keyValue.value}` : `delete ${event.key}`,
    );
  }
}

/** Kind of the `StoreError` with which a call failed; throws when it did not fail, or in another way. */
export async function failure(call: Promise<unknown>): Promise<StoreErrorKind> {
  try {
    await call;
  } catch (error) {
    if (error instanceof StoreError) return error.kind;
    throw error;
  }
  throw new Error('the call did not fail');
}

/** Makes the call again and again until it is answered, as after a failure, when etcd may have to elect first. */
export function untilAnswered<T>(store: StoreUnderTest, call: () => Promise<T>): Promise<T> {
  const attempt = (left: number): Promise<T> =>
    call().catch((error: unknown) => {
      if (left === 0) throw error;
      return attempt(left - 1);
    });
  return store.answer(attempt(1_000));
}

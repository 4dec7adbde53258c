import { z } from 'zod';
import type { ChallengePutOutcome, LineEntry } from '../core/election/election-events.ts';
import { resourceManagerId as resourceManagerIdSchema } from '../core/messages/primitives.ts';
import type { ResourceManagerId } from '../core/ids.ts';
import type { KeyValue, Transaction } from './coordination-store.ts';
import { isAmong, rangeOf, type StandingKey, stands } from './election-transactions.ts';
import type { ClusterKeys } from './keys.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';

const challengeValue = z.object({
  resourceManagerId: resourceManagerIdSchema,
  /** How many task executors are connected to the asker. */
  taskExecutors: z.int().min(0),
});

/** Who asks the head of the line whether it is alive. */
export interface Challenger {
  readonly own: StandingKey;
  readonly leaseId: bigint;
  readonly resourceManagerId: ResourceManagerId;
  readonly taskExecutors: number;
}

/** How many task executors whoever put that challenge reaches; 0 when it does not say. */
export function askerReaches({ value }: Pick<KeyValue, 'value'>): number {
  try {
    return challengeValue.safeParse(JSON.parse(value)).data?.taskExecutors ?? 0;
  } catch {
    return 0;
  }
}

/**
 * Puts a challenge to that very head, only if none stands; else reads the one there is. Nobody comes ahead of a head,
 * but in an etcd that was restored those who had gone are back.
 */
export function putChallenge(
  keys: ClusterKeys,
  challenger: Challenger,
  generation: number,
  head: StandingKey,
): Transaction {
  const { own, leaseId, resourceManagerId, taskExecutors } = challenger;
  const key = keys.challenge(generation, head.createRevision);
  return {
    compare: [
      stands(own),
      stands({ key: head.key, createRevision: head.createRevision }),
      {
        key: keys.election,
        prefix: true,
        target: 'create',
        result: '>',
        operand: head.createRevision - 1n,
      },
      { key, target: 'create', result: '==', operand: 0n },
    ],
    success: [
      { type: 'put', key, value: JSON.stringify({ resourceManagerId, taskExecutors }), lease: leaseId },
    ],
    failure: [
      { type: 'range', key },
      { type: 'range', key: keys.election, prefix: true },
    ],
  };
}

/** Asks the head of the line, or adopts a challenge that stands; null when the candidacy ended meanwhile. */
export async function challengeHead(
  context: StoreContext,
  keys: ClusterKeys,
  challenger: Challenger,
  target: { readonly generation: number; readonly head: LineEntry },
  signal: AbortSignal,
): Promise<ChallengePutOutcome | null> {
  const { generation, head } = target;
  const transaction = putChallenge(keys, challenger, generation, head);
  const outcome = await sendUntilAnswered(
    context,
    (endpoint) => endpoint.transact(transaction, context.timing.etcdCallMs),
    {
      name: 'put challenge',
      final: ({ kind }) => kind === 'rejected' || kind === 'no-space' || kind === 'lease-not-found',
      signal,
    },
  );
  if (outcome.kind === 'abandoned') return null;
  if (outcome.kind === 'refused') {
    return { kind: outcome.error.kind === 'no-space' ? 'store-full' : 'failed' };
  }
  const { succeeded, revision, results } = outcome.value;
  if (succeeded) return { kind: 'standing', createRevision: revision };
  const line = rangeOf(results, 1);
  if (!isAmong(line, head) || !isAmong(line, challenger.own)) return { kind: 'gone' };
  const [found] = rangeOf(results, 0);
  return found === undefined
    ? { kind: 'failed' }
    : { kind: 'standing', createRevision: found.createRevision };
}

/** Whether that very challenge stands; null when the store did not answer before the signal was aborted. */
export async function challengeStands(
  context: StoreContext,
  challenge: StandingKey,
  signal: AbortSignal,
): Promise<boolean | null> {
  const outcome = await sendUntilAnswered(
    context,
    (endpoint) => endpoint.range({ type: 'range', key: challenge.key }, context.timing.etcdCallMs),
    { name: 'read challenge', signal },
  );
  return outcome.kind === 'answered' ? isAmong(outcome.value.keyValues, challenge) : null;
}

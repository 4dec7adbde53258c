import { FOUNDED_GENERATION, type Identity } from '../core/election/identity.ts';
import type { WitnessSummary } from '../core/election/worker-witnesses.ts';
import type { ClusterId, ResourceManagerId } from '../core/ids.ts';
import { MOST_GENERATION } from '../core/messages/primitives.ts';
import { QuartermasterError } from '../core/problem.ts';
import type { Compare, KeyValue, Operation, Transaction, TransactionResult } from './coordination-store.ts';
import {
  formatHistoryRow,
  formatIdentity,
  parseHistoryRow,
  parseIdentity,
  parseLeaderRecord,
  type TermEnd,
} from './election-records.ts';
import { listElection, rangeOf, stands } from './election-transactions.ts';
import { HistoryIndex, openRow } from './history.ts';
import type { ClusterKeys } from './keys.ts';
import type { GenerationPlan } from './leader-election.ts';
import { sendUntilAnswered, type StoreContext } from './persistent-call.ts';
import { STORE_FULL } from './store-space.ts';

/** How long one order may take in all; beyond it nothing is known of it. */
const ORDER_MS = 15_000;
const PLAN_MS = 4_000;

/** What whoever declares a new generation knows besides etcd. */
export interface GenerationKnowledge {
  readonly witnesses: WitnessSummary;
  /** The identity that this process remembers. */
  readonly remembered: Identity | null;
  readonly contradiction: string | null;
  /** A cluster id for a cluster of which nobody knows one. */
  readonly mint: () => ClusterId;
}

/** What etcd holds of the election at one revision, and its history as read just after. */
interface Seen {
  readonly identity: KeyValue | null;
  readonly head: KeyValue | null;
  readonly leader: KeyValue | null;
  readonly history: readonly KeyValue[];
}

/** What has to be done, and how to see it done; made anew for each order. */
export class GenerationOrder {
  readonly #context: StoreContext;
  readonly #keys: ClusterKeys;
  readonly #history = new HistoryIndex();
  readonly #life: AbortSignal;

  /** `life` ends what is under way. */
  constructor(context: StoreContext, keys: ClusterKeys, life: AbortSignal) {
    this.#context = context;
    this.#keys = keys;
    this.#life = life;
  }

  /** As `LeaderElectionService.planGeneration`. */
  async plan(knowledge: GenerationKnowledge): Promise<GenerationPlan> {
    return this.#within(PLAN_MS, async (signal) => {
      const seen = await this.#look(signal);
      if (seen !== null) return planOf(seen, knowledge);
      throw new QuartermasterError({ code: 'UNAVAILABLE', detail: 'etcd does not answer.' });
    });
  }

  /** As `LeaderElectionService.declareGeneration`; `by` goes into the history of the term that ends with it. */
  async declare(
    wanted: number | null,
    by: ResourceManagerId,
    knowledge: GenerationKnowledge,
  ): Promise<Identity> {
    return this.#within(ORDER_MS, async (signal) => {
      let identity: Identity | null = null;
      for (;;) {
        const seen = await this.#look(signal);
        if (seen === null) throw nothingKnown();
        const standing = identityOf(seen.identity);
        // It may have been declared by an earlier copy, by an order that was repeated, or by somebody else.
        const enough = identity?.generation ?? wanted;
        if (standing !== null && enough !== null && standing.generation >= enough) return standing;
        identity ??= this.#decide(wanted, planOf(seen, knowledge));
        const at = new Date(this.#context.clock.wallMs()).toISOString();
        const evidence = `generation ${identity.generation} declared by an operator`;
        const ended = { at, reason: 'new generation', evidence, by };
        const transaction = declareGeneration(this.#keys, seen, identity, ended);
        const result = await this.#send('declare generation', transaction, signal);
        if (result === null) throw nothingKnown();
        if (!result.succeeded) continue;
        this.#context.logger.log('warn', 'new generation declared', { ...identity });
        return identity;
      }
    });
  }

  #decide(wanted: number | null, { identity }: GenerationPlan): Identity {
    if (Math.max(wanted ?? 0, identity.generation) > MOST_GENERATION) {
      const detail =
        `A generation is at most ${MOST_GENERATION}, and ${identity.generation - 1} is known. ` +
        'If a worker says so, end it and wait a minute.';
      throw new QuartermasterError({ code: 'CONFLICT', detail });
    }
    if (wanted === null || wanted === identity.generation) return identity;
    if (wanted > identity.generation) return { ...identity, generation: wanted };
    const detail =
      `Generation ${wanted} is not enough any more: ${identity.generation - 1} is known by now. ` +
      `It has to be ${identity.generation}.`;
    throw new QuartermasterError({ code: 'CONFLICT', detail });
  }

  async #look(signal: AbortSignal): Promise<Seen | null> {
    const listing = await this.#send('list election', listElection(this.#keys), signal);
    const history = listing === null ? null : await this.#history.read(this.#context, this.#keys, signal);
    if (listing === null || history === null) return null;
    const line = [...rangeOf(listing.results, 0)];
    const [head] = line.sort((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
    return {
      head: head ?? null,
      leader: rangeOf(listing.results, 1)[0] ?? null,
      identity: rangeOf(listing.results, 2)[0] ?? null,
      history,
    };
  }

  async #send(
    name: string,
    transaction: Transaction,
    signal: AbortSignal,
  ): Promise<TransactionResult | null> {
    const { timing } = this.#context;
    const outcome = await sendUntilAnswered(
      this.#context,
      (endpoint) => endpoint.transact(transaction, timing.etcdCallMs),
      { name, final: ({ kind }) => kind === 'rejected' || kind === 'no-space', signal },
    );
    if (outcome.kind === 'abandoned') return null;
    if (outcome.kind === 'answered') return outcome.value;
    if (outcome.error.kind === 'no-space') throw new QuartermasterError(STORE_FULL, { cause: outcome.error });
    const detail = `etcd refuses it: ${outcome.error.message}`;
    throw new QuartermasterError({ code: 'UNAVAILABLE', detail }, { cause: outcome.error });
  }

  async #within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadline = new AbortController();
    const abort = (): void => deadline.abort();
    const timer = this.#context.clock.schedule(ms, abort);
    this.#life.addEventListener('abort', abort, { once: true });
    try {
      return await work(deadline.signal);
    } finally {
      timer.cancel();
      this.#life.removeEventListener('abort', abort);
    }
  }
}

/**
 * Writes the identity, guarded by the one that was seen and by the head of the line that was seen; an empty line
 * must still be empty. Once the identity has changed, no copy of this can commit any more.
 */
function declareGeneration(keys: ClusterKeys, seen: Seen, identity: Identity, ended: TermEnd): Transaction {
  const open = seen.head === null ? undefined : openRow(seen.history, seen.head.createRevision);
  const compare: Compare[] = [
    seen.identity === null
      ? { key: keys.identity, target: 'create', result: '==', operand: 0n }
      : { key: keys.identity, target: 'mod', result: '==', operand: seen.identity.modRevision },
    seen.head === null
      ? { key: keys.election, prefix: true, target: 'create', result: '==', operand: 0n }
      : stands(seen.head),
  ];
  const success: Operation[] = [
    { type: 'put', key: keys.identity, value: formatIdentity(identity) },
    { type: 'delete', key: keys.leader },
  ];
  if (seen.head !== null) success.push({ type: 'delete', key: seen.head.key });
  if (open !== undefined) {
    const { key, modRevision: operand } = open.keyValue;
    const { generation, epoch } = open.row;
    compare.push({ key, target: 'mod', result: '==', operand });
    success.push(
      { type: 'put', key, value: formatHistoryRow({ ...open.row, ended }) },
      { type: 'delete', key: keys.challenge(generation, epoch) },
    );
  }
  return { compare, success, failure: [{ type: 'range', key: keys.identity }] };
}

function planOf(seen: Seen, knowledge: GenerationKnowledge): GenerationPlan {
  const { witnesses, remembered, contradiction } = knowledge;
  const present = identityOf(seen.identity);
  const rows = seen.history.map(({ value }) => parseHistoryRow(value)?.generation ?? 0);
  const led = seen.leader === null ? 0 : (parseLeaderRecord(seen.leader.value)?.token.generation ?? 0);
  const highest = Math.max(
    FOUNDED_GENERATION,
    witnesses.generation,
    remembered?.generation ?? 0,
    present?.generation ?? 0,
    led,
    ...rows,
  );
  const clusterId = witnesses.clusterId ?? remembered?.clusterId ?? present?.clusterId ?? knowledge.mint();
  return {
    present,
    identity: { clusterId, generation: highest + 1 },
    informedWorkers: witnesses.informed,
    contradictingWorkers: witnesses.contradicting,
    contradiction,
  };
}

function identityOf(keyValue: KeyValue | null): Identity | null {
  return keyValue === null ? null : parseIdentity(keyValue.value);
}

function nothingKnown(): QuartermasterError {
  const detail = 'etcd does not answer; it is not known whether the new generation was declared.';
  return new QuartermasterError({ code: 'NO_ANSWER', detail });
}

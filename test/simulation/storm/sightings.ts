import type {
  Operation,
  OperationResult,
  Transaction,
  TransactionResult,
} from '../../../src/ha/coordination-store.ts';
import { StoreError } from '../../../src/ha/coordination-store.ts';
import { DEPOSED } from '../../../src/ha/history.ts';
import { ClusterKeys } from '../../../src/ha/keys.ts';
import type { Commit } from '../../../src/ha/embedded/mvcc-state.ts';
import type { LogFields } from '../../../src/runtime/logger.ts';
import { CLUSTER } from '../simulated-cluster.ts';
import type { ProcessObserver, SimulatedProcess } from '../simulated-process.ts';
import type { TroubleSpot } from './fault-action.ts';
import type { Sighting } from './fault-kind.ts';
import { Interleavings } from './interleavings.ts';

const KEYS = new ClusterKeys(CLUSTER);

const SPOT_OF_MESSAGE: Readonly<Record<string, TroubleSpot>> = {
  requestSlots: 'request',
  executeSlotCommands: 'command',
  notifySlotsAllocated: 'notification',
  claimSlot: 'claim',
  renewLeases: 'renewal',
  releaseLeases: 'release',
  reportSlots: 'report',
  registerTaskExecutor: 'registration',
  registerJobMaster: 'registration',
};

/** What only a leader may say, and only while it may serve. */
const EFFECTS_OF_LEADERS: ReadonlySet<string> = new Set([
  'executeSlotCommands',
  'notifySlotsAllocated',
  'failSlotRequests',
  'checkAllocations',
  'requestSlotReport',
]);

/** What changes books of slots: reports, requests and what becomes of them, comings and goings, answers to commands. */
const TOUCHES_BOOKS =
  /"(reportSlots|requestSlots|cancelSlotRequests|rejectSlot|register\w+|disconnect\w+|results)"/;

interface SentCommand {
  readonly generation: number;
  readonly epoch: bigint;
  readonly n: number;
  readonly atMs: number;
  /** Whether it may come after a successor's confirm, as leadership was being taken away from outside when it left. */
  readonly mayOverlap: boolean;
}

/** What of a message is of interest here. */
interface Message {
  readonly type?: string;
  readonly body?: {
    readonly token?: { readonly generation: number; readonly epoch: string };
    readonly number?: { readonly n: number };
    readonly report?: { readonly lastSeen: { readonly epoch: string; readonly n: number } | null };
  };
}

/** Name of the place of a process, or of an address. */
export function placeOf(name: string): string {
  return name.replace(/[#:]\d+$/, '');
}

/**
 * Looks over the shoulder of every process: tells where trouble would hurt, counts the interleavings that matter,
 * and holds each command of a leader to its serving deadline and to the confirms of others (G6).
 */
export class Sightings implements ProcessObserver {
  readonly interleavings = new Interleavings();
  /** The first guarantee that was seen broken. */
  broken: string | null = null;
  /** In the order of their confirms. */
  readonly confirms: { readonly generation: number; readonly epoch: bigint; readonly atMs: number }[] = [];
  onSpot: (sighting: Sighting) => void = () => {};
  /** Is told when an operator's order removes whoever leads, as it stands in etcd. */
  onGeneration: () => void = () => {};
  /** Is told each deposition of a term, and on what evidence. */
  onDeposed: (epoch: bigint, evidence: string) => void = () => {};
  /** Is told when a process goes on after it was stopped. */
  onWake: () => void = () => {};
  /** Whether the leader of that epoch may not know yet that it leads no more. */
  mayOverlap: (epoch: bigint) => boolean = () => false;
  /** Books of leaders may have changed since this was last set to false. */
  booksTouched = true;
  readonly #nowMs: () => number;
  readonly #servingDeadlineMs: number;
  /** Until when each process may serve by its own clock, by the checks that were answered to it. */
  readonly #provenUntil = new Map<SimulatedProcess, number>();
  readonly #lastCommand = new Map<string, SentCommand>();
  readonly #commandRate = new Map<string, bigint>();
  readonly #sent = new WeakSet<Transaction>();
  readonly #committed = new Set<string>();
  readonly #unknown = new Set<string>();
  readonly #owners = new Map<string, string>();
  readonly #endedRows = new Set<string>();
  readonly #grantedAt = new Map<string, string>();
  readonly #grantEpoch = new Map<string, bigint>();

  constructor(nowMs: () => number, servingDeadlineMs: number) {
    this.#nowMs = nowMs;
    this.#servingDeadlineMs = servingDeadlineMs;
  }

  onSend(process: SimulatedProcess, peer: string, frame: string): void {
    if (isRoutine(frame)) return;
    for (const [, type = ''] of frame.matchAll(/"type":"(\w+)"/g)) {
      const spot = SPOT_OF_MESSAGE[type];
      if (EFFECTS_OF_LEADERS.has(type)) this.#begun(process, type);
      if (spot === undefined) continue;
      if (spot === 'command') this.#commanded(process, peer, frame);
      this.onSpot({ spot, by: placeOf(process.name), peer: placeOf(peer) });
    }
  }

  onResume(): void {
    this.onWake();
  }

  onFrame(process: SimulatedProcess, peer: string, frame: string): void {
    if (isRoutine(frame)) return;
    this.booksTouched ||= TOUCHES_BOOKS.test(frame);
    if (frame.includes('"type":"reportSlots"')) this.#reported(process, peer, frame);
  }

  onTransaction(process: SimulatedProcess, transaction: Transaction): void {
    const by = placeOf(process.name);
    const writes = transaction.success.some(({ type }) => type === 'put');
    if (writes && this.#sent.has(transaction)) this.interleavings.saw('writes sent again');
    this.#sent.add(transaction);
    for (const operation of transaction.success) {
      if (operation.type !== 'put') continue;
      if (operation.key === KEYS.leader) this.onSpot({ spot: 'confirm', by, peer: null });
      if (operation.key.startsWith(KEYS.challenges)) this.onSpot({ spot: 'challenge', by, peer: null });
      if (operation.key.startsWith(KEYS.history) && operation.value.includes(`"reason":"${DEPOSED}"`))
        this.onSpot({ spot: 'deposition', by, peer: null });
    }
  }

  answered(
    process: SimulatedProcess,
    transaction: Transaction,
    sentMs: number,
    answer: Promise<TransactionResult>,
  ): Promise<TransactionResult> {
    const record = transaction.success.find(({ type, key }) => type === 'put' && key === KEYS.leader);
    const looksAtKey = transaction.compare.some(
      ({ key, target, result }) => target === 'create' && result === '==' && key.startsWith(KEYS.election),
    );
    // It looks for a challenge, or answers one; no other write feeds a deadline.
    const isCheck =
      looksAtKey &&
      transaction.success.every(({ type, key }) => type !== 'put' && key.startsWith(KEYS.challenges));
    if (!isCheck && record === undefined) return answer;
    answer.then(
      ({ succeeded, results }) => {
        // A copy of a confirm whose else branch finds its own key and its own record proves that term as well.
        const isOurs = !succeeded && record?.type === 'put' && tellOf(results, record);
        if (!succeeded && !isOurs) return;
        const challenged = results.some(
          (result) =>
            result.type === 'range' && result.keyValues.some(({ key }) => key.startsWith(KEYS.challenges)),
        );
        if (challenged && !isOurs) return;
        const untilMs = sentMs + this.#servingDeadlineMs;
        this.#provenUntil.set(process, Math.max(untilMs, this.#provenUntil.get(process) ?? 0));
      },
      (error: unknown) => {
        const isUnknown = error instanceof StoreError && error.kind === 'unknown-outcome';
        if (isUnknown && record?.type === 'put') this.#unknownConfirm(record.value);
      },
    );
    return answer;
  }

  #unknownConfirm(value: string): void {
    this.interleavings.saw('confirms with unknown outcome');
    if (this.#committed.has(value)) this.interleavings.saw('confirms of unknown outcome that had committed');
    else this.#unknown.add(value);
  }

  /** To be told when etcd begins with other data: until an operator declares a new generation, epochs have no order. */
  beginEra(): void {
    this.confirms.length = 0;
  }

  /** To be told every commit of etcd; faults strike in a turn of their own then. */
  onCommit({ events }: Commit, later: (sighting: Sighting) => void): void {
    for (const event of events) {
      if (event.type === 'put') {
        const { key, value, version } = event.keyValue;
        if (key === KEYS.leader) this.#confirmed(value, later);
        else if (key.startsWith(KEYS.election) && version === 1n) this.#owners.set(key, ownerOf(value));
        else if (key === KEYS.identity) this.onGeneration();
        else if (key.startsWith(KEYS.challenges)) this.interleavings.saw('challenges');
        else if (key.startsWith(KEYS.history)) this.#row(key, value);
      } else if (event.key.startsWith(KEYS.election)) {
        later({ spot: 'revocation', by: null, peer: this.#owners.get(event.key) ?? null });
      } else if (event.key.startsWith(KEYS.challenges) && events.length === 1) {
        this.interleavings.saw('challenges answered');
      }
    }
  }

  #confirmed(value: string, later: (sighting: Sighting) => void): void {
    const record = JSON.parse(value) as { address: string; generation: number; epoch: string };
    this.interleavings.saw('confirms');
    this.#committed.add(value);
    if (this.#unknown.has(value))
      this.interleavings.saw('confirms that committed after a copy of them had timed out');
    const { generation } = record;
    this.confirms.push({ generation, epoch: BigInt(record.epoch), atMs: this.#nowMs() });
    later({ spot: 'confirmed', by: null, peer: placeOf(record.address) });
  }

  #row(key: string, value: string): void {
    const row = JSON.parse(value) as { epoch: string; ended: { reason: string; evidence: string } | null };
    const { ended } = row;
    if (ended === null || this.#endedRows.has(key)) return;
    this.#endedRows.add(key);
    this.interleavings.saw(kindOfEnd(ended.reason, ended.evidence));
    if (ended.reason === DEPOSED) this.onDeposed(BigInt(row.epoch), ended.evidence);
  }

  #commanded(process: SimulatedProcess, peer: string, frame: string): void {
    for (const { type, body } of messagesOf(frame)) {
      if (type !== 'executeSlotCommands' || body?.token === undefined) continue;
      const { generation, epoch } = body.token;
      const n = body.number?.n ?? 0;
      const atMs = this.#nowMs();
      const mayOverlap = this.mayOverlap(BigInt(epoch));
      const sent = { generation, epoch: BigInt(epoch), n, atMs, mayOverlap };
      this.#lastCommand.set(placeOf(peer), sent);
      this.#commandRate.set(process.name, sent.epoch);
    }
  }

  #begun(process: SimulatedProcess, type: string): void {
    const localMs = process.clock.monotonicMs();
    const untilMs = this.#provenUntil.get(process) ?? -Infinity;
    if (localMs > untilMs + 0.01)
      this.#break(
        `G6: ${process.name} sent ${type} ${(localMs - untilMs).toFixed(1)} ms past its serving deadline`,
      );
  }

  #reported(process: SimulatedProcess, peer: string, frame: string): void {
    for (const { type, body } of messagesOf(frame)) {
      const report = body?.report;
      if (type !== 'reportSlots' || report === undefined || body?.token === undefined) continue;
      const last = this.#lastCommand.get(placeOf(peer));
      const latest = this.confirms.at(-1);
      if (latest !== undefined && BigInt(body.token.epoch) < latest.epoch)
        this.interleavings.saw('reports to a leader of the past');
      if (last === undefined || this.#commandRate.get(process.name) !== last.epoch) continue;
      const { lastSeen } = report;
      const seen = lastSeen !== null && BigInt(lastSeen.epoch) === last.epoch ? lastSeen.n : -1;
      if (seen < last.n) this.interleavings.saw('reports overtaken by a command');
    }
  }

  /** To be told every line of every journal. */
  onJournal(process: string, event: string, fields: LogFields): void {
    const by = placeOf(process);
    if (event === 'grant') {
      this.#granted(by, fields);
      this.onSpot({ spot: 'grant', by, peer: null });
    }
    if (event === 'end') this.#grantedAt.delete(String(fields['allocationId']));
    if (event === 'claim') this.interleavings.saw('claims');
    if (event === 'restore') this.interleavings.saw('leases restored after a restart');
    if (event === 'end' && fields['reason'] === 'lapsed') this.interleavings.saw('leases lapsed');
    if (event !== 'command-refused') return;
    if (fields['code'] === 'FENCED') this.interleavings.saw('commands fenced at a task executor');
    if (fields['code'] === 'STALE') this.interleavings.saw('commands out of date at a task executor');
  }

  #granted(by: string, fields: LogFields): void {
    this.interleavings.saw('grants');
    const slot = `${String(fields['resourceId'])}/${String(fields['slotNumber'])}`;
    const allocation = String(fields['allocationId']);
    const epoch = BigInt(String(fields['epoch']));
    const generation = Number(fields['generation']);
    const before = this.#grantedAt.get(allocation);
    if (before !== undefined && before !== slot) this.interleavings.saw('double grants for one request');
    const epochBefore = this.#grantEpoch.get(allocation);
    if (epochBefore !== undefined && epochBefore !== epoch)
      this.interleavings.saw('grants after a change of leader, for a request of before');
    this.#grantedAt.set(allocation, slot);
    this.#grantEpoch.set(allocation, epoch);
    const sent = this.#lastCommand.get(by);
    const higher = this.confirms.find(
      (confirm) =>
        confirm.generation > generation || (confirm.generation === generation && confirm.epoch > epoch),
    );
    if (higher === undefined || sent === undefined || sent.epoch !== epoch || sent.atMs <= higher.atMs)
      return;
    this.interleavings.saw('effects of a leader after its successor was confirmed');
    if (!sent.mayOverlap)
      this.#break(
        `G6: ${slot} was granted by epoch ${epoch}, ordered ${(sent.atMs - higher.atMs).toFixed(1)} ms after epoch ${higher.epoch} was confirmed`,
      );
  }

  /** To be told every line of every log. */
  onLog(_who: string, event: string, fields: LogFields): void {
    if (event === 'gap') this.interleavings.saw('gaps of job masters');
    if (event === 'watch ended') this.interleavings.saw('watches ended');
    if (event === 'job-ended' && fields['code'] === 'SUPERSEDED')
      this.interleavings.saw('superseded job masters');
  }

  #break(sentence: string): void {
    this.broken ??= sentence;
  }
}

/** Whether the else branch of a confirm shows the key of its sender, and what it wrote. */
function tellOf(
  [own, ...others]: readonly OperationResult[],
  { key, value }: Extract<Operation, { readonly type: 'put' }>,
): boolean {
  const stands = own?.type === 'range' && own.keyValues.length > 0;
  const found = others.flatMap((result) => (result.type === 'range' ? result.keyValues : []));
  return stands && found.some((each) => each.key === key && each.value === value);
}

/** Pings and lone answers, of which most of the traffic is. */
function isRoutine(frame: string): boolean {
  return (
    frame.startsWith('{"messages":[{"type":"ping"') ||
    (frame.startsWith('{"messages":[{"reply"') && frame.length < 140)
  );
}

function messagesOf(frame: string): readonly Message[] {
  return (JSON.parse(frame) as { messages: Message[] }).messages;
}

function ownerOf(value: string): string {
  try {
    return placeOf((JSON.parse(value) as { address: string }).address);
  } catch {
    return '';
  }
}

function kindOfEnd(reason: string, evidence: string): string {
  if (reason === DEPOSED) {
    if (evidence.includes('nobody listens')) return 'depositions by refused connection';
    if (evidence.includes('another process')) return 'depositions by another process in its place';
    if (evidence.includes('a challenge stood')) return 'depositions by challenge';
    return 'depositions of a key that is no candidate';
  }
  if (reason === 'simulated') return 'terms ended by a step-down';
  if (reason === 'lease deadline passed' || reason === 'lease lost')
    return 'terms ended by their own deadline';
  if (reason === 'candidate key gone') return 'terms ended by loss of the key';
  if (reason === 'lost') return 'terms ended without a word';
  return `terms ended: ${reason}`;
}

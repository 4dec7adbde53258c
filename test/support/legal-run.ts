import type { StoreLog } from '../../src/core/audit/store-log.ts';
import { type WritesVerdict, judgeWrites } from '../../src/core/audit/write-judge.ts';
import { storeWrites } from '../../src/cli/audit/store-writes.ts';
import type { Deposition } from '../../src/core/election/election-events.ts';
import type { BootNonce, ClusterId, LeaderSessionId, ResourceManagerId } from '../../src/core/ids.ts';
import { OWN_VERSIONS } from '../../src/core/messages/protocol-version.ts';
import type { KeyValue, Operation, Transaction } from '../../src/ha/coordination-store.ts';
import { deposedKeys, depose, depositionEnd } from '../../src/ha/depose.ts';
import { putChallenge } from '../../src/ha/challenge.ts';
import {
  formatCandidate,
  formatIdentity,
  parseCandidate,
  parseHistoryRow,
  type TermEnd,
} from '../../src/ha/election-records.ts';
import {
  answerChallenge,
  confirm,
  createIdentity,
  depart,
  fenced,
  putCandidate,
} from '../../src/ha/election-transactions.ts';
import { StoreState } from '../../src/ha/embedded/store-state.ts';
import { historyWork, openRow } from '../../src/ha/history.ts';
import { ClusterKeys } from '../../src/ha/keys.ts';
import type { LeaderRecord } from '../../src/ha/leader-election.ts';
import { toJson } from '../../src/rpc/wire-format.ts';
import { logOf } from '../simulation/write-judge.ts';
import type { TimedCommit } from '../simulation/simulated-etcd.ts';

const IDENTITY = { clusterId: 'c-1' as ClusterId, generation: 1 };
const AT = '2026-01-01T00:00:00.000Z';

/**
 * A run of a cluster over the model of etcd, step by step, in the very transactions that resource managers send. Each
 * step does nothing when it is not its time.
 */
export class LegalRun {
  readonly keys = new ClusterKeys('c');
  readonly state = new StoreState(1);
  readonly commits: TimedCommit[] = [];
  /** Of whoever was confirmed, in order. */
  readonly terms: LeaderRecord[] = [];
  #leases = 0n;

  constructor() {
    this.state.mvcc.onCommit = (commit) => {
      this.commits.push({ ...commit, wallMs: 1_000_000 + this.commits.length });
    };
    this.send(createIdentity(this.keys, IDENTITY));
  }

  send(transaction: Transaction): boolean {
    return this.state.transact(transaction).succeeded;
  }

  /** Writes past every guard, all at once. */
  force(...success: readonly Operation[]): bigint {
    return this.state.transact({ compare: [], success, failure: [] }).revision;
  }

  range(key: string): readonly KeyValue[] {
    return this.state.range({ type: 'range', key, prefix: true }).keyValues;
  }

  get line(): KeyValue[] {
    return this.range(this.keys.election).toSorted((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
  }

  /** The confirmed leader whose candidate key stands; null when there is none. */
  get leader(): { readonly own: KeyValue; readonly record: LeaderRecord } | null {
    const own = this.line[0];
    const record = this.terms.at(-1);
    return own !== undefined && own.createRevision === record?.token.epoch ? { own, record } : null;
  }

  join(): void {
    const leaseId = ++this.#leases;
    this.state.grantLease(leaseId, 10, 0);
    const candidate = {
      resourceManagerId: `rm-${leaseId}` as ResourceManagerId,
      address: `rm-${leaseId}:7000`,
      bootNonce: `boot-${leaseId}` as BootNonce,
      version: '0.1.0',
      ...OWN_VERSIONS,
    };
    this.send(putCandidate(this.keys, this.keys.candidate(leaseId), formatCandidate(candidate), leaseId));
  }

  /** Who stands behind so many others, whom it deposes, is confirmed. */
  confirm(behind = 0): void {
    const own = this.line[behind];
    if (own === undefined || own.createRevision === this.terms.at(-1)?.token.epoch) return;
    const record: LeaderRecord = {
      resourceManagerId: parseCandidate(own.value)!.resourceManagerId,
      address: 'rm:7000',
      confirmedAt: AT,
      token: {
        generation: 1,
        epoch: own.createRevision,
        leaderSessionId: `session-${own.createRevision}` as LeaderSessionId,
      },
    };
    const { rows, deposition, end } = this.#deposition(behind, record.resourceManagerId);
    const lost: TermEnd = { ...end, reason: 'lost' };
    const headEpoch = deposition?.dead[0]?.createRevision;
    const work = historyWork(rows, this.keys.historyRow(1, own.createRevision), (row) =>
      row.epoch === headEpoch ? end : lost,
    );
    const deposed = deposition === null ? null : deposedKeys(this.keys, rows, deposition, 1, end);
    const done = this.send(
      confirm(this.keys, {
        own,
        leaseId: own.lease,
        record,
        identityValue: formatIdentity(IDENTITY),
        history: work,
        aheadAtFirst: [],
        rowsAhead: [],
        ...(deposed !== null && { deposed }),
      }),
    );
    if (done) this.terms.push(record);
  }

  /** The last one in line deposes the head for the sake of who comes next. */
  depose(): void {
    const own = this.line.at(-1);
    if (this.line.length < 3 || own === undefined) return;
    const by = parseCandidate(own.value)!.resourceManagerId;
    const { rows, deposition, end } = this.#deposition(1, by);
    if (deposition === null) return;
    const deposed = deposedKeys(this.keys, rows, deposition, 1, end);
    const open = openRow(rows, deposition.dead[0]!.createRevision);
    const close =
      open === undefined ? [] : [{ keyValue: open.keyValue, closed: { ...open.row, ended: end } }];
    this.send(depose(this.keys, own, deposed, close));
  }

  challenge(): void {
    const [head, own] = this.line;
    if (head === undefined || own === undefined) return;
    const { resourceManagerId } = parseCandidate(own.value)!;
    const challenger = { own, leaseId: own.lease, resourceManagerId, taskExecutors: 2 };
    this.send(putChallenge(this.keys, challenger, 1, head));
  }

  answer(): void {
    if (this.leader === null) return;
    this.send(answerChallenge(this.keys, this.leader.own, this.leader.record.token));
  }

  /** The leader registers a worker, or takes it off the books. */
  register(name: string, gone = false): void {
    if (this.leader === null) return;
    const { own, record } = this.leader;
    const key = this.keys.taskExecutor(name);
    const operation: Operation = gone
      ? { type: 'delete', key }
      : { type: 'put', key, value: this.registration(record) };
    const write = { alsoIf: [], operations: [operation], readBack: [] };
    this.send(fenced({ ...own, leaseId: own.lease }, write));
  }

  registration({ token }: Pick<LeaderRecord, 'token'>): string {
    return toJson({ instanceId: `i-${this.commits.length}`, slots: 1, ...token });
  }

  resign(handOver = false): void {
    const { leader } = this;
    const to = this.line.at(-1);
    if (leader === null || to === undefined) return;
    const open = openRow(this.range(this.keys.history), leader.own.createRevision)!;
    const entry = ({
      key,
      createRevision,
    }: KeyValue): { key: string; createRevision: bigint; candidate: null } => ({
      key,
      createRevision,
      candidate: null,
    });
    const ahead = this.line.slice(1, -1).map(entry);
    this.send(
      depart(this.keys, {
        key: leader.own.key,
        ending: { createRevision: leader.own.createRevision, granted: true },
        row: { ...open.row, ended: { at: AT, reason: 'asked', evidence: '', by: 'rm' } },
        handOver: handOver && this.line.length > 1 ? { to: entry(to), ahead } : null,
      }),
    );
  }

  /** A lease runs out. */
  expire(index: number): void {
    const key = this.line[index % Math.max(1, this.line.length)];
    if (key !== undefined) this.state.revokeLease(key.lease);
  }

  /** An operator deletes a candidate key. */
  operatorDeletes(index: number): void {
    const key = this.line[index % Math.max(1, this.line.length)];
    if (key !== undefined) this.force({ type: 'delete', key: key.key });
  }

  get log(): StoreLog {
    return logOf({ eras: [{ base: { revision: 0n, keys: [] }, commits: this.commits }] }, this.keys);
  }

  judge(log = this.log): WritesVerdict {
    return judgeWrites(storeWrites(log, this.keys));
  }

  #deposition(
    dead: number,
    by: ResourceManagerId,
  ): { rows: readonly KeyValue[]; deposition: Deposition | null; end: TermEnd } {
    const rows = this.range(this.keys.history);
    const entries = this.line.slice(0, dead).map(({ key, createRevision, value }) => ({
      key,
      createRevision,
      candidate: parseCandidate(value),
    }));
    const deposition: Deposition = { dead: entries, evidence: 'refused', challengeRevision: null };
    const end = depositionEnd(deposition, by, Date.parse(AT));
    return { rows, deposition: entries.length === 0 ? null : deposition, end };
  }

  /** The last row of history, as it stands. */
  row(record: LeaderRecord): { readonly key: string; readonly value: Record<string, unknown> } {
    const key = this.keys.historyRow(record.token.generation, record.token.epoch);
    const row = parseHistoryRow(this.range(key)[0]!.value)!;
    return { key, value: { ...row } };
  }
}

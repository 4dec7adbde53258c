import { expect } from 'chai';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExecutorTail } from '../../../../src/cli/drill/executor-tail.ts';
import { LeaderSightings } from '../../../../src/cli/drill/leader-sightings.ts';
import { DrillObserver } from '../../../../src/cli/drill/observer.ts';
import type { StoreEvent } from '../../../../src/core/audit/store-log.ts';
import type { LeaderSessionId, ResourceManagerId } from '../../../../src/core/ids.ts';
import { formatHistoryRow, formatLeaderRecord } from '../../../../src/ha/election-records.ts';
import { ClusterKeys } from '../../../../src/ha/keys.ts';
import { leaderOf } from '../../core/drill/drill-rounds.ts';

const KEYS = new ClusterKeys('drill');
const SESSION = (epoch: bigint): LeaderSessionId =>
  `00000000-0000-4000-8000-${String(epoch).padStart(12, '0')}` as LeaderSessionId;

function written(key: string, value: string | null): StoreEvent {
  const kind = value === null ? 'delete' : 'put';
  const revisions = { revision: 9n, createRevision: 9n, modRevision: 9n, lease: 0n };
  return { kind, key, value: value ?? '', ...revisions, receivedWallMs: 0 };
}

function confirm(id: string, epoch: bigint): StoreEvent {
  const token = { generation: 1, epoch, leaderSessionId: SESSION(epoch) };
  const resourceManagerId = id as ResourceManagerId;
  const record = { resourceManagerId, address: 'a:1', token, confirmedAt: '2026-01-01T00:00:00.000Z' };
  return written(KEYS.leader, formatLeaderRecord(record));
}

function endOf(epoch: bigint, reason: string): StoreEvent {
  const at = '2026-01-01T00:00:01.000Z';
  const row = formatHistoryRow({
    resourceManagerId: 'rm-1' as ResourceManagerId,
    leaderSessionId: SESSION(epoch),
    generation: 1,
    epoch,
    confirmedAt: at,
    neverConfirmed: false,
    ended: { at, reason, evidence: 'seen', by: 'rm-2' },
  });
  return written(KEYS.historyRow(1, epoch), row);
}

describe('who leads, by what the store tells', () => {
  it('is the leader that was confirmed last, whatever became of its record', () => {
    const sightings = new LeaderSightings(KEYS);
    expect(sightings.leader).to.equal(null);
    sightings.take(confirm('rm-1', 3n), 10);
    sightings.take(written(KEYS.leader, null), 20);
    expect(sightings.leader).to.deep.include({ resourceManagerId: 'rm-1', epoch: 3n });
    sightings.take(confirm('rm-2', 4n), 30);
    expect(sightings.confirms.map(({ atWallMs }) => atWallMs)).to.deep.equal([10, 30]);
  });

  it('knows how a term ended, and when a leader was deposed', () => {
    const sightings = new LeaderSightings(KEYS);
    sightings.take(endOf(3n, 'lost'), 10);
    sightings.take(endOf(4n, 'deposed'), 20);
    expect(sightings.endOf(leaderOf('rm-1', 3n))).to.include({ reason: 'lost', evidence: 'seen' });
    expect(sightings.endOf(leaderOf('rm-1', 5n))).to.equal(null);
    expect(sightings.depositions).to.deep.equal([20]);
  });

  it('is watched again five seconds after a challenge was answered, and at once after a change', () => {
    const sightings = new LeaderSightings(KEYS);
    sightings.take(confirm('rm-1', 3n), 0);
    expect(sightings.isWatched(1)).to.equal(true);
    sightings.take(written(KEYS.challenge(1, 3n), null), 1_000);
    expect(sightings.isWatched(5_999)).to.equal(false);
    expect(sightings.isWatched(6_000)).to.equal(true);
    sightings.take(written(KEYS.challenge(1, 3n), null), 7_000);
    expect(sightings.isWatched(16_999), 'twice as long the second time').to.equal(false);
    sightings.take(confirm('rm-2', 4n), 8_000);
    expect(sightings.isWatched(8_001)).to.equal(true);
  });

  it('lets no fault strike one that has led until a moment ago', () => {
    const sightings = new LeaderSightings(KEYS);
    sightings.take(confirm('rm-1', 3n), 0);
    const { leader } = sightings;
    expect(() => sightings.assertStillLeads(leader!)).to.not.throw();
    sightings.take(confirm('rm-2', 4n), 10);
    expect(() => sightings.assertStillLeads(leader!)).to.throw('from rm-1 to rm-2');
  });

  it('takes no notice of values that are no record', () => {
    const sightings = new LeaderSightings(KEYS);
    sightings.take(written(KEYS.leader, 'nonsense'), 1);
    sightings.take(written(`${KEYS.history}x`, '{}'), 1);
    expect(sightings.leader).to.equal(null);
  });
});

describe('a take-over as the drill sees it', () => {
  let folder: string;
  let journal: string;
  let sightings: LeaderSightings;
  let observer: DrillObserver;
  let tail: ExecutorTail;
  const before = leaderOf('rm-1', 3n);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qm-observer-'));
    journal = join(folder, 'te.jsonl');
    writeFileSync(journal, '');
    sightings = new LeaderSightings(KEYS);
    tail = new ExecutorTail([journal]);
    observer = new DrillObserver(sightings, tail);
    sightings.take(confirm('rm-1', 3n), 0);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function grant(
    allocationId: string,
    epoch: bigint,
    atMs: number,
    lateMs = 0,
    [file, process] = [journal, 'p'],
  ): void {
    const line = {
      at: new Date(1_000_000 + atMs + lateMs).toISOString(),
      event: 'grant',
      atMs,
      resourceId: 'te-1',
      process,
      allocationId,
      generation: 1,
      epoch: String(epoch),
      leaderSessionId: SESSION(epoch),
    };
    appendFileSync(file, `${JSON.stringify(line)}\n`);
  }

  function request(requestId: number, askedAt: number, claimedAt: number, obeyed: bigint): void {
    const who = { requestId, jobId: 'load', purpose: 'steady' } as const;
    observer.observe({ type: 'asked', ...who, atWallMs: askedAt });
    const token = { generation: 1, epoch: obeyed, leaderSessionId: SESSION(obeyed) };
    const slot = { allocationId: `a-${requestId}`, slot: 'te-1/0', grantNumber: requestId };
    observer.observe({ type: 'claimed', ...who, ...slot, token, atWallMs: claimedAt });
  }

  it('is over when a request that waited at the confirm has its slot from the new leader', () => {
    expect(observer.takeOver(before, 100), 'nobody was confirmed').to.equal(null);
    sightings.take(confirm('rm-2', 4n), 110);
    observer.served(4n, 115);
    expect(observer.takeOver(before, 100), 'nobody has a slot').to.equal(null);
    grant('a-1', 4n, 5);
    request(1, 90, 120, 4n);
    expect(observer.takeOver(before, 100)).to.deep.include({
      confirmMs: 10,
      leaderlessMs: 15,
      firstGrantMs: 20,
    });
  });

  it('counts no slot that the old leader had granted, though the job obeys the new one when it claims it', () => {
    sightings.take(confirm('rm-2', 4n), 110);
    observer.served(4n, 115);
    grant('a-1', 3n, 5);
    request(1, 90, 118, 4n);
    expect(observer.takeOver(before, 100)).to.equal(null);
    grant('a-2', 4n, 6);
    request(2, 95, 125, 4n);
    expect(observer.takeOver(before, 100)?.firstGrantMs).to.equal(25);
  });

  it('counts no request that was asked of the new leader', () => {
    sightings.take(confirm('rm-2', 4n), 110);
    grant('a-1', 4n, 5);
    request(1, 111, 118, 4n);
    expect(observer.takeOver(before, 100)).to.equal(null);
  });

  it('measures an overlap from when a task executor took the command in hand, not from when it wrote', () => {
    sightings.take(confirm('rm-2', 4n), 1_000_050);
    grant('a-1', 3n, 40);
    grant('a-2', 3n, 45, 30);
    tail.read();
    expect(observer.overlapSince(0), 'taken in hand before the confirm').to.equal(0);
    grant('a-3', 3n, 57, 30);
    tail.read();
    expect(observer.overlapSince(0)).to.equal(7);
    expect(observer.overlapSince(1_000_058)).to.equal(0);
  });

  it('finds an overlap in each journal, though the next one that is read begins before the fault', () => {
    const other = join(folder, 'te-2.jsonl');
    writeFileSync(other, '');
    const both = new ExecutorTail([journal, other]);
    sightings.take(confirm('rm-2', 4n), 1_000_050);
    grant('a-1', 3n, 57);
    grant('a-2', 3n, 20, 0, [other, 'q']);
    both.read();
    expect(new DrillObserver(sightings, both).overlapSince(1_000_040)).to.equal(7);
  });

  it('waits for the rest of a line that is written in pieces', () => {
    grant('a-1', 4n, 5);
    appendFileSync(journal, '{"at":"2026-01-01T00:00:00.000Z","event":"command-refused","atMs":1,');
    tail.read();
    expect([tail.grants.length, tail.refusals.length]).to.deep.equal([1, 0]);
    const rest = {
      process: 'p',
      resourceId: 'te-1',
      generation: 1,
      epoch: '3',
      leaderSessionId: SESSION(3n),
    };
    appendFileSync(journal, `${JSON.stringify({ ...rest, code: 'FENCED' }).slice(1)}\n`);
    tail.read();
    expect(tail.refusals.map(({ code, token }) => [code, token.epoch])).to.deep.equal([['FENCED', 3n]]);
  });
});

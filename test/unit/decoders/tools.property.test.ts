import { expect } from 'chai';
import fc from 'fast-check';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { storeWrite } from '../../../src/cli/audit/store-writes.ts';
import { serverEvents, type ServerEvent } from '../../../src/cli/client/server-events.ts';
import { readPlan } from '../../../src/cli/cluster/kept-plan.ts';
import { parseMemberMetrics } from '../../../src/cli/doctor/etcd-metrics.ts';
import { ClusterKeys } from '../../../src/ha/keys.ts';
import { FileLock } from '../../../src/taskexecutor/file-lock.ts';
import { checkRefusal, holds, read, RUNS, seed } from './hostile-input.ts';
import { checkPrototypes, hostileJson } from './hostile-json.ts';

const KEYS = new ClusterKeys('dev');
const METRICS = `etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 90
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.002"} 199
etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 200
etcd_disk_wal_fsync_duration_seconds_count 200
etcd_server_quota_backend_bytes 2.147483648e+09
etcd_server_leader_changes_seen_total 3
process_start_time_seconds 1.7e+09
`;
const STREAM =
  ': hello\n\nevent: leader\ndata: {"epoch":"5"}\n\nevent: no-leader\r\ndata: {}\r\n\r\ndata: a\rdata: b\r\r';
const STREAM_EVENTS: readonly ServerEvent[] = [
  { event: 'leader', data: '{"epoch":"5"}' },
  { event: 'no-leader', data: '{}' },
  { event: 'message', data: 'a\nb' },
];

async function* pieces(parts: readonly Uint8Array[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield await Promise.resolve(Buffer.from(part));
}

async function eventsOf(parts: readonly Uint8Array[]): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of serverEvents(pieces(parts))) events.push(event);
  return events;
}

/** The text with one stretch of it replaced. */
function changed(text: string): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.nat(text.length),
      fc.nat(40),
      fc.oneof(fc.string(), fc.constantFrom('NaN', '-1', '1e999', '{', '"', '\r')),
    )
    .map(([at, length, instead]) => text.slice(0, at) + instead + text.slice(at + length));
}

describe(`readers of the tools under hostile input (seed ${seed})`, function () {
  this.timeout(600_000);
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quartermaster-decoders-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('tell the audit what a write says, or that it says nothing', () => {
    const token = { generation: 1, epoch: '5', leaderSessionId: 's' };
    const record = {
      ...token,
      resourceManagerId: 'rm-1',
      address: 'h:1',
      confirmedAt: '2026-01-01T00:00:00.000Z',
    };
    const named = [KEYS.election, KEYS.history, KEYS.challenges, KEYS.taskExecutors, KEYS.jobMasters];
    const keys = [
      ...named.map((folderKey) => `${folderKey}1-5`),
      KEYS.leader,
      KEYS.identity,
      `${KEYS.root}else`,
    ];
    holds(
      [record, { clusterId: 'c', generation: 1 }, { ...token, instanceId: 'i', slots: 1 }],
      (value) => {
        for (const key of keys) {
          const event = { revision: 5n, kind: 'put', key, value, receivedWallMs: 1 } as const;
          const { put } = storeWrite({ ...event, createRevision: 5n, modRevision: 5n, lease: 0n }, KEYS);
          expect(put?.is.of).to.be.a('string');
        }
        checkPrototypes();
      },
      3 * RUNS,
    );
  });

  it('take a kept plan, or name its file and leave it as it is', async () => {
    const path = join(folder, 'plan.json');
    const schema = z.strictObject({ ports: z.array(z.int()), dataDir: z.string() });
    await fc.assert(
      fc.asyncProperty(hostileJson([{ ports: [1, 2], dataDir: '/d' }]), async (text) => {
        writeFileSync(path, text);
        try {
          expect(await readPlan(path, schema)).to.have.keys('ports', 'dataDir');
        } catch (error) {
          checkRefusal(error);
          expect(String(error)).to.include(path);
        }
        checkPrototypes();
        expect(readFileSync(path, 'utf8')).to.equal(Buffer.from(text).toString('utf8'));
      }),
      { seed, numRuns: 3 * RUNS },
    );
  });

  it('take the lock of a dead owner, or name the file and leave it as it is', async () => {
    const path = join(folder, 'state');
    const lock = `${path}.lock-1`;
    const dead = { pid: 4_000_000, host: hostname(), bootId: 'before', startTicks: '1' };
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(hostileJson([dead]), async (text) => {
        writeFileSync(lock, text);
        try {
          const mine = await FileLock.acquire(path);
          expect(existsSync(lock)).to.equal(false);
          taken += 1;
          await mine.release();
        } catch (error) {
          checkRefusal(error);
          expect(String(error)).to.include(path);
          expect(readFileSync(lock, 'utf8')).to.equal(Buffer.from(text).toString('utf8'));
        }
        checkPrototypes();
      }),
      { seed, numRuns: 3 * RUNS },
    );
    expect(taken, 'locks that were taken').to.be.above(0);
  });

  it('read the metrics of a member of etcd as numbers, or as somebody else’s', () => {
    expect(parseMemberMetrics(METRICS)?.fsyncP99).to.deep.equal({ aboveMs: 1, atMostMs: 2 });
    fc.assert(
      fc.property(changed(METRICS), (text) => {
        const metrics = read(() => parseMemberMetrics(text));
        if (metrics === null) return;
        const { fsyncP99, ...numbers } = metrics;
        for (const [name, value] of Object.entries({ ...numbers, ...fsyncP99 }))
          expect(value === null || Number.isFinite(value), `${name} is ${value}`).to.equal(true);
      }),
      { seed, numRuns: 20 * RUNS },
    );
  });

  it('read a stream of events the same however it is cut, and any other one to its end', async () => {
    const bytes = Buffer.from(STREAM);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 6 }), async (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const parts = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        expect(await eventsOf([...parts, Buffer.from('\n')])).to.deep.equal(STREAM_EVENTS);
      }),
      { seed, numRuns: 10 * RUNS },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 })), changed(STREAM), async (parts, text) => {
        for (const { data } of await eventsOf([...parts, Buffer.from(text)])) expect(data).to.be.a('string');
      }),
      { seed, numRuns: 10 * RUNS },
    );
  });
});

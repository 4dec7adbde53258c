import { expect } from 'chai';
import type { AllocationId, ResourceId } from '../../../src/core/ids.ts';
import { WorkerPool, type WorkerPoolEffect } from '../../../src/resourcemanager/worker-pool.ts';
import { SMALL } from '../../support/testing-worker.ts';

const BIG = { cpuCores: 8, memoryMB: 4_096, extended: {} };
const LIMITS = { maximum: 2, idleMs: 60_000, registrationMs: 30_000, slotsPerWorker: 2 };

/** A pool that names its workers w-1, w-2, ... */
function poolOf(limits: Partial<typeof LIMITS> = {}) {
  let minted = 0;
  const pool = new WorkerPool({
    ...LIMITS,
    ...limits,
    mintName: () => {
      minted += 1;
      return `w-${minted}` as ResourceId;
    },
  });
  const name = (worker: string): ResourceId => worker as ResourceId;
  const kinds = (effects: readonly WorkerPoolEffect[]): string[] =>
    effects.map((effect) => `${effect.type} ${effect.resourceId}`);
  return {
    pool,
    wants: (id: string, nowMs = 0, profile = SMALL) =>
      kinds(pool.handle({ type: 'wanted', allocationId: id as AllocationId, profile }, nowMs)),
    settles: (id: string, nowMs = 0) =>
      kinds(pool.handle({ type: 'settled', allocationIds: [id as AllocationId] }, nowMs)),
    is: (type: 'recorded' | 'registered' | 'gone', worker: string, nowMs = 0) =>
      kinds(pool.handle({ type, resourceId: name(worker) }, nowMs)),
    fails: (worker: string, nowMs = 0) =>
      kinds(pool.handle({ type: 'failed', resourceId: name(worker), detail: 'x' }, nowMs)),
    finds: (worker: string, registered: boolean, nowMs = 0) =>
      kinds(pool.handle({ type: 'found', resourceId: name(worker), registered }, nowMs)),
    ticks: (nowMs: number, pendingRequests = 1, idle: { worker: string; sinceMs: number }[] = []) =>
      kinds(
        pool.handle(
          {
            type: 'tick',
            pendingRequests,
            idle: idle.map(({ worker, sinceMs }) => ({ resourceId: name(worker), sinceMs })),
          },
          nowMs,
        ),
      ),
  };
}

describe('the pool of workers', () => {
  it('records a worker before it starts it', () => {
    const { wants, is } = poolOf();
    expect(wants('a')).to.deep.equal(['record w-1']);
    expect(is('recorded', 'w-1')).to.deep.equal(['start w-1']);
    expect(is('recorded', 'w-1'), 'twice').to.deep.equal([]);
  });

  it('counts on every slot of a worker that is on its way', () => {
    const { wants, is } = poolOf();
    wants('a');
    expect(wants('a'), 'twice').to.deep.equal([]);
    expect(wants('b')).to.deep.equal([]);
    is('recorded', 'w-1');
    expect(wants('c')).to.deep.equal(['record w-2']);
  });

  it('starts one of its own for a request that the slots of the other will not fit', () => {
    const { wants } = poolOf();
    wants('a');
    expect(wants('b', 0, BIG)).to.deep.equal(['record w-2']);
  });

  it('keeps to the maximum, workers of former leaders included', () => {
    const { pool, wants, finds, is } = poolOf();
    finds('old', true);
    expect(wants('a')).to.deep.equal(['record w-1']);
    expect(wants('b', 0, BIG)).to.deep.equal([]);
    expect(pool.size).to.equal(2);
    expect(is('gone', 'old')).to.deep.equal(['record w-2']);
  });

  it('gives up a worker that does not register in time, and starts another after a while', () => {
    const { wants, is, ticks } = poolOf();
    wants('a');
    is('recorded', 'w-1');
    expect(ticks(29_999)).to.deep.equal([]);
    expect(ticks(30_000)).to.deep.equal(['giveUp w-1']);
    expect(is('gone', 'w-1', 30_010)).to.deep.equal([]);
    expect(ticks(30_999)).to.deep.equal([]);
    expect(ticks(31_000)).to.deep.equal(['record w-2']);
  });

  it('gives up one that a former leader recorded and that never registers', () => {
    const { finds, ticks } = poolOf();
    finds('old', false, 5_000);
    expect(ticks(34_000)).to.deep.equal([]);
    expect(ticks(35_000)).to.deep.equal(['giveUp old']);
  });

  it('waits longer after each failure, and not at all after a success', () => {
    const { wants, is, fails, ticks } = poolOf();
    wants('a');
    expect(fails('w-1', 0)).to.deep.equal(['giveUp w-1']);
    is('gone', 'w-1', 0);
    expect(ticks(1_000)).to.deep.equal(['record w-2']);
    fails('w-2', 1_000);
    is('gone', 'w-2', 1_000);
    expect(ticks(2_999)).to.deep.equal([]);
    expect(ticks(3_000)).to.deep.equal(['record w-3']);
    is('recorded', 'w-3', 3_000);
    is('registered', 'w-3', 3_100);
    fails('w-3', 3_200);
    expect(wants('b', 3_200, BIG)).to.deep.equal(['record w-4']);
  });

  it('starts another when the slots of a new worker went to somebody else', () => {
    const { wants, is, ticks } = poolOf();
    wants('a');
    is('recorded', 'w-1');
    is('registered', 'w-1', 1_000);
    expect(ticks(2_999)).to.deep.equal([]);
    expect(ticks(3_000)).to.deep.equal(['record w-2']);
  });

  it('forgets a request that has its slot or has ended', () => {
    const { wants, settles, is, ticks } = poolOf({ maximum: 1, slotsPerWorker: 1 });
    wants('a');
    wants('b');
    settles('b');
    is('recorded', 'w-1');
    is('registered', 'w-1');
    settles('a');
    is('gone', 'w-1', 10);
    expect(ticks(100_000)).to.deep.equal([]);
  });

  it('forgets all requests when none waits any more', () => {
    const { wants, ticks } = poolOf({ maximum: 0 });
    wants('a');
    expect(ticks(1_000, 0)).to.deep.equal([]);
    expect(wants('a', 1_000)).to.deep.equal([]);
  });

  it('stops a worker again that was busy when it was to stop, or did not go', () => {
    const { finds, ticks } = poolOf();
    finds('old', true);
    expect(ticks(70_000, 0, [{ worker: 'old', sinceMs: 10_000 }])).to.deep.equal(['stop old']);
    expect(ticks(71_000, 0), 'busy').to.deep.equal([]);
    expect(ticks(80_000, 0, [{ worker: 'old', sinceMs: 80_000 }])).to.deep.equal([]);
    expect(ticks(140_000, 0, [{ worker: 'old', sinceMs: 80_000 }])).to.deep.equal(['stop old']);
    expect(ticks(199_999, 0, [{ worker: 'old', sinceMs: 80_000 }])).to.deep.equal([]);
    expect(ticks(200_000, 0, [{ worker: 'old', sinceMs: 80_000 }]), 'not gone').to.deep.equal(['stop old']);
  });

  it('stops a worker that has been idle for a while, once, also that of a former leader', () => {
    const { finds, ticks } = poolOf();
    finds('old', true);
    const idle = [
      { worker: 'old', sinceMs: 10_000 },
      { worker: 'by-hand', sinceMs: 0 },
    ];
    expect(ticks(69_999, 0, idle)).to.deep.equal([]);
    expect(ticks(70_000, 0, idle)).to.deep.equal(['stop old']);
    expect(ticks(71_000, 0, idle)).to.deep.equal([]);
  });
});

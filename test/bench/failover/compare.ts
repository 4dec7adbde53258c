import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChildGuard } from '../../../src/cli/cluster/child-guard.ts';
import { EtcdCluster } from '../../../src/cli/cluster/etcd-cluster.ts';
import { EtcdCoordinationStore } from '../../../src/ha/etcd/etcd-coordination-store.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import { Contest } from './contest.ts';
import { etcd3Election } from './etcd3-election.ts';
import { etcdctlElect } from './etcdctl-elect.ts';
import { quartermaster } from './quartermaster.ts';
import { playRound, type Round } from './round.ts';
import { FAULTS, type Fault, type System } from './system.ts';
import { Turns } from './turns.ts';

export interface Comparison {
  readonly rounds: number;
  readonly etcdctlRounds: number;
  readonly onRound: (round: Round) => void;
}

/** Rounds of one system under one fault, one after the other. */
interface Lane {
  readonly contest: Contest;
  readonly fault: Fault;
  readonly rounds: number;
  /** Nobody waits for the end of its rounds. */
  readonly slow: boolean;
}

/**
 * Runs every system against one etcd of three members and gives each fault to one after the other, in turn, so that noise
 * of the machine hits all alike. Resolves when all rounds are played; afterwards no process is left.
 */
export async function compare(options: Comparison): Promise<void> {
  const etcd = await EtcdCluster.start({ members: 3 });
  const folder = await mkdtemp(join(tmpdir(), 'quartermaster-bench-'));
  const guard = new ChildGuard(folder);
  const store = new EtcdCoordinationStore({ endpoints: etcd.urls, clock: new SystemClock() });
  const contests: Contest[] = [];
  const enter = (system: System): Contest => {
    const contest = new Contest(system, store.endpoints[0], guard);
    contests.push(contest);
    return contest;
  };
  try {
    const where = { etcdUrls: etcd.urls, folder };
    const ours = enter(await quartermaster({ ...where, endpoint: store.endpoints[0] }));
    const plain = enter(etcd3Election({ ...where, resigns: false }));
    const resigning = enter(etcd3Election({ ...where, resigns: true }));
    const { rounds, etcdctlRounds } = options;
    const lanes = FAULTS.flatMap((fault): Lane[] => [
      { contest: ours, fault, rounds, slow: false },
      { contest: plain, fault, rounds, slow: false },
      ...(fault === 'sigterm' ? [{ contest: resigning, fault, rounds, slow: false }] : []),
      ...(etcdctlRounds === 0
        ? []
        : [{ contest: enter(etcdctlElect({ ...where, fault })), fault, rounds: etcdctlRounds, slow: true }]),
    ]);
    await Promise.all(contests.map((contest) => contest.start()));
    await playAll(lanes, options.onRound);
  } finally {
    await Promise.all(contests.map((contest) => contest.stop()));
    await store.close();
    await etcd.stop();
    await guard.release();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function playAll(lanes: readonly Lane[], onRound: (round: Round) => void): Promise<void> {
  const turns = new Turns();
  const quick = new Set(lanes.filter(({ slow }) => !slow).map(({ contest }) => contest));
  await Promise.all(lanes.map(({ contest }) => contest.untilCalm()));
  const play = async ({ contest, fault, rounds, slow }: Lane): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      const endTurn = await turns.take();
      try {
        // A process that starts would slow down whoever is measured.
        await Promise.all([...quick].map((each) => each.untilCalm()));
        // etcdctl waits for a minute, idle; the others go on meanwhile.
        onRound(await playRound(contest, fault, slow ? endTurn : () => {}));
      } finally {
        endTurn();
      }
      if (slow) await contest.untilCalm();
    }
  };
  await Promise.all(lanes.map(play));
}

import { expect } from 'chai';
import { storeWrites } from '../../../../src/cli/audit/store-writes.ts';
import {
  type ExecutorFacts,
  journalFacts,
  type MasterFacts,
} from '../../../../src/core/audit/journal-facts.ts';
import type {
  DrillEvidence,
  DrillGuarantee,
  DrillRound,
  DrillVerdict,
  LoadObservation,
} from '../../../../src/core/drill/drill-evidence.ts';
import { judgeEvidence } from '../../../../src/core/drill/judge-evidence.ts';
import type { FencingToken } from '../../../../src/core/fencing-token.ts';
import type { LeaderSessionId } from '../../../../src/core/ids.ts';
import { LegalRun } from '../../../support/legal-run.ts';
import { roundWith } from './drill-rounds.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A drill of one round: a leader resigned, the next one was confirmed, slots were granted under both. */
class Drill {
  readonly run = new LegalRun();
  readonly executors: ExecutorFacts[] = [];
  readonly masters: MasterFacts[] = [];
  readonly observations: LoadObservation[] = [];
  rounds: DrillRound[] = [];
  liveWithinMs = 1_000;
  wallMs = 999_000;
  #lines = 0;

  /** Something in each lane that every guarantee can be judged by. */
  static clean(): Drill {
    const drill = new Drill();
    const { run } = drill;
    for (let count = 0; count < 3; count++) run.join();
    run.confirm();
    run.register('te-1');
    const first = drill.token(0);
    drill.te('started', { remembers: false, slotsDieWithProcess: false, ...NOBODY });
    drill.te('token-adopted', first).jm('token-adopted', first);
    drill.grant(1, first).claim(1, 1);
    run.resign();
    run.confirm();
    run.register('te-1');
    const second = drill.token(1);
    drill.wait(2_000);
    drill.rounds = [roundWith({ fault: 'a step-down of rm-1', faultAtWallMs: drill.wallMs })];
    drill.te('token-adopted', second).jm('token-adopted', second);
    drill.te('renew', drill.lease(1, first));
    drill.jm('lease-renewed', drill.holding(1));
    drill.release(1, 1);
    drill.grant(2, second).claim(2, 2, second);
    drill.release(2, 2);
    drill.observe({ type: 'asked', requestId: 3 });
    drill.observe({ type: 'cancelled', requestId: 3 });
    return drill;
  }

  token(term: number): FencingToken {
    return this.run.terms[term]!.token;
  }

  wait(ms: number): this {
    this.wallMs += ms;
    return this;
  }

  te(event: string, fields: object): this {
    return this.#write('te.jsonl', { event, resourceId: 'te-1', process: 'i-1', ...fields });
  }

  jm(event: string, fields: object): this {
    return this.#write('jm.jsonl', { event, jobId: 'job', jobMasterId: 'jm-1', ...fields });
  }

  lease(grantNumber: number, token: FencingToken): Fields {
    return { ...place(grantNumber), jobId: 'job', jobMasterId: 'jm-1', durationMs: 30_000, ...token };
  }

  holding(grantNumber: number): Fields {
    return { resourceId: 'te-1', ...place(grantNumber), deadlineMs: this.wallMs + 27_000 };
  }

  grant(grantNumber: number, token: FencingToken): this {
    return this.te('grant', this.lease(grantNumber, token));
  }

  claim(grantNumber: number, requestId: number, token = this.token(0)): this {
    this.observe({ type: 'asked', requestId });
    this.te('claim', this.lease(grantNumber, token)).jm('slot-claimed', this.holding(grantNumber));
    return this.observe({ type: 'claimed', requestId, token, ...shown(grantNumber) });
  }

  release(grantNumber: number, requestId: number): this {
    this.observe({ type: 'released', requestId, ...shown(grantNumber) });
    this.jm('lease-ended', { ...this.holding(grantNumber), reason: 'released' });
    return this.te('end', { ...this.lease(grantNumber, this.token(0)), reason: 'released' });
  }

  observe(observation: object): this {
    const { wallMs: atWallMs } = this.wait(1);
    const seen = { jobId: 'job', purpose: 'steady', atWallMs, ...observation };
    this.observations.push(seen as unknown as LoadObservation);
    return this;
  }

  get verdict(): DrillVerdict {
    const { run, executors, masters, observations, rounds, liveWithinMs } = this;
    const evidence: DrillEvidence = {
      cluster: 'c',
      events: run.log[0]!.events,
      store: { generation: 1, history: [], records: [] },
      journals: { executors, masters, gaps: new Map(), toleranceMs: 50 },
      refusals: [],
      observations,
      rounds,
      leaseTtlMs: 10_000,
      liveWithinMs,
    };
    return judgeEvidence(evidence, storeWrites(run.log, run.keys));
  }

  #write(file: string, fields: Fields): this {
    this.wait(1);
    this.#lines += 1;
    const epoch = typeof fields['epoch'] === 'bigint' ? { epoch: fields['epoch'].toString() } : {};
    const written = { file, line: this.#lines, wallMs: this.wallMs };
    const said = journalFacts({ atMs: this.wallMs, ...fields, ...epoch }, written);
    if (said.of === 'executor') this.executors.push(said.facts);
    else if (said.of === 'master') this.masters.push(said.facts);
    else throw new Error(`no line of a journal: ${String(fields['event'])}`);
    return this;
  }
}

const NOBODY = { generation: null, epoch: null, leaderSessionId: null };
function place(grantNumber: number): Fields {
  return { slotNumber: 0, allocationId: `a-${grantNumber}`, instanceId: 'i-1', grantNumber };
}

const shown = (grantNumber: number): Fields => ({
  slot: 'te-1/0',
  allocationId: `a-${grantNumber}`,
  grantNumber,
});

/** What is done to a clean drill, and what must be found of it. */
const PLANTED: Readonly<Record<string, readonly [DrillGuarantee, string, (drill: Drill) => void]>> = {
  'a registration of a deposed leader': [
    'G1',
    'after-end',
    ({ run }) =>
      run.force({ type: 'put', key: run.keys.taskExecutor('te-1'), value: run.registration(run.terms[0]!) }),
  ],
  'a token that fell': ['G2', 'token-fell', (drill) => drill.jm('token-adopted', drill.token(0))],
  'a slot that is granted while it is leased': [
    'G3',
    'slot-leased-twice',
    (drill) => drill.grant(3, drill.token(1)).grant(4, drill.token(1)),
  ],
  'a grant that two requests were given': [
    'G3',
    'grant-claimed-twice',
    (drill) =>
      drill
        .observe({ type: 'asked', requestId: 7 })
        .observe({ type: 'claimed', requestId: 7, token: null, ...shown(2) }),
  ],
  'a slot in the hands of two users': [
    'G3',
    'slot-in-two-hands',
    (drill) =>
      drill
        .observe({ type: 'claimed', requestId: 7, token: null, ...shown(3) })
        .observe({ type: 'claimed', requestId: 8, token: null, ...shown(4) }),
  ],
  'a user who comes after another one with a lower grant number': [
    'G3',
    'grant-number-fell',
    (drill) =>
      drill
        .observe({ type: 'claimed', requestId: 7, token: null, ...shown(9) })
        .observe({ type: 'released', requestId: 7, ...shown(9) })
        .observe({ type: 'claimed', requestId: 8, token: null, ...shown(8) }),
  ],
  'an allocation that was shown two slots': [
    'G4',
    'allocation-claimed-twice',
    (drill) =>
      drill
        .observe({ type: 'asked', requestId: 7 })
        .observe({ type: 'claimed', requestId: 7, token: null, ...shown(2), slot: 'te-1/1' }),
  ],
  'a token in a job that nobody confirmed': [
    'G5',
    'token-never-confirmed',
    (drill) => {
      const token = { ...drill.token(1), leaderSessionId: 'x' as LeaderSessionId };
      drill
        .observe({ type: 'asked', requestId: 7 })
        .observe({ type: 'claimed', requestId: 7, ...shown(7), token });
    },
  ],
  'a grant accepted long after a higher confirm': [
    'G6',
    'acted-past-deadline',
    (drill) => {
      drill.executors.splice(drill.executors.findIndex(({ event }) => event === 'end'));
      drill.grant(3, drill.token(0));
    },
  ],
  'a request without an end': [
    'G7',
    'request-lost',
    (drill) => drill.observe({ type: 'asked', requestId: 9 }),
  ],
  'a request with two ends': [
    'G7',
    'request-ended-twice',
    (drill) => drill.observe({ type: 'cancelled', requestId: 1 }),
  ],
  'a request that failed for no reason': [
    'G7',
    'failed-without-reason',
    (drill) =>
      drill
        .observe({ type: 'asked', requestId: 9 })
        .observe({ type: 'failed', requestId: 9, code: '', detail: '' }),
  ],
  'a lease that was lost': [
    'G7',
    'lease-lost',
    (drill) =>
      drill.observe({ type: 'lost', requestId: 2, ...shown(2), code: 'X', detail: 'x', excused: null }),
  ],
  'a leader that came too late': [
    'G8',
    'confirmed-too-late',
    (drill) => {
      drill.rounds = drill.rounds.map((round) => ({ ...round, confirmMs: 1_001 }));
    },
  ],
  'a claimed lease that a leader freed': [
    'G9',
    'freed-while-claimed',
    (drill) =>
      drill
        .grant(3, drill.token(1))
        .claim(3, 7)
        .te('end', { ...drill.lease(3, drill.token(1)), reason: 'freed' }),
  ],
  'a lease that ran out under its holder': [
    'G9',
    'lapsed-under-holder',
    (drill) =>
      drill
        .grant(3, drill.token(1))
        .claim(3, 7)
        .wait(30_000)
        .te('end', { ...drill.lease(3, drill.token(1)), reason: 'lapsed' })
        .jm('token-adopted', drill.token(1)),
  ],
  'a lease that ended at its holder while its task executor lived': [
    'G9',
    'ended-under-holder',
    (drill) =>
      drill
        .grant(3, drill.token(1))
        .claim(3, 7)
        .wait(27_000)
        .jm('lease-ended', { ...drill.holding(3), reason: 'expired' })
        .wait(3_000)
        .te('end', { ...drill.lease(3, drill.token(1)), reason: 'lapsed' }),
  ],
};

describe('the judge of a drill', () => {
  it('says that every guarantee held where it saw each of them tried and none broken', () => {
    const { guarantees, violations, judged } = Drill.clean().verdict;
    expect(violations).to.deep.equal([]);
    expect(new Set(Object.values(guarantees))).to.deep.equal(new Set(['held']));
    expect(judged).to.include({
      requests: 3,
      claims: 2,
      grants: 2,
      renewals: 2,
      changesOfLeader: 1,
      terms: 0,
    });
    expect(judged).to.include({ leaderRecords: 2, registrations: 2, historyWrites: 3, overlapAtMostMs: 0 });
  });

  it('says of nothing that it held where there was nothing to judge', () => {
    const { guarantees } = new Drill().verdict;
    expect(new Set(Object.values(guarantees))).to.deep.equal(new Set(['unseen']));
  });

  for (const [what, [guarantee, rule, plant]] of Object.entries(PLANTED)) {
    it(`finds ${what} (${guarantee}), and in which round`, () => {
      const drill = Drill.clean();
      plant(drill);
      const { guarantees, violations } = drill.verdict;
      expect(violations.map((found) => `${found.guarantee} ${found.rule}`)).to.include(
        `${guarantee} ${rule}`,
      );
      expect(guarantees[guarantee]).to.equal('broken');
      const found = violations.find((violation) => violation.rule === rule)!;
      expect(found.places).to.not.deep.equal([]);
      if (guarantee !== 'G1') expect(found.round).to.equal(1);
    });
  }

  it('excuses what the fault of a round ends rightly, and requests of a job that failed', () => {
    const drill = Drill.clean();
    drill.grant(3, drill.token(1)).claim(3, 7).wait(27_000);
    drill.jm('lease-ended', { ...drill.holding(3), reason: 'expired' });
    const lost = { type: 'lost', requestId: 7, ...shown(3), code: 'X', detail: 'x' };
    drill.observe({ ...lost, excused: 'its task executor was killed' });
    drill.wait(3_000).te('end', { ...drill.lease(3, drill.token(1)), reason: 'lapsed' });
    drill.observe({ type: 'asked', requestId: 8, jobId: 'doomed' });
    drill.observe({ type: 'job-failed', jobId: 'doomed', code: 'SUPERSEDED', detail: '' });
    expect(drill.verdict.violations).to.deep.equal([]);
  });

  it('takes a slot for free once its user has given it back or lost it', () => {
    const drill = Drill.clean();
    drill.observe({ type: 'asked', requestId: 7 }).observe({ type: 'asked', requestId: 8 });
    drill.observe({ type: 'claimed', requestId: 7, token: null, ...shown(3) });
    drill.observe({ type: 'lost', requestId: 7, ...shown(3), code: 'X', detail: 'x', excused: 'a fault' });
    drill.observe({ type: 'claimed', requestId: 8, token: null, ...shown(4) });
    expect(drill.verdict.violations).to.deep.equal([]);
  });

  it('takes a grant that was under way during the confirm for none past a deadline, and reports its time', () => {
    const drill = Drill.clean();
    const confirmedAt = drill.run.commits.at(-2)!.wallMs;
    const line = drill.executors.find(({ event }) => event === 'grant')!;
    drill.executors[drill.executors.indexOf(line)] = { ...line, wallMs: confirmedAt + 20 };
    const { guarantees, judged } = drill.verdict;
    expect([guarantees.G6, judged['overlapAtMostMs']]).to.deep.equal(['held', 20]);
  });
});

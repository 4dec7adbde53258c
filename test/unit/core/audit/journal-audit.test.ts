import { expect } from 'chai';
import { audit, type AuditVerdict } from '../../../../src/core/audit/audit.ts';
import {
  journalFacts,
  type ExecutorFacts,
  type MasterFacts,
} from '../../../../src/core/audit/journal-facts.ts';
import type { HistoryFacts } from '../../../../src/core/audit/store-facts.ts';
import type { LeaderSessionId } from '../../../../src/core/ids.ts';

type Fields = Readonly<Record<string, unknown>>;

const LEASE_MS = 30_000;
const token = (epoch: number): Fields => ({
  generation: 1,
  epoch: String(epoch),
  leaderSessionId: `s-${epoch}`,
});

/** Journals written line by line, each so many milliseconds after the one before. */
class Journals {
  readonly executors: ExecutorFacts[] = [];
  readonly masters: MasterFacts[] = [];
  readonly gaps = new Map<string, number[]>();
  wallMs = 1_000_000;
  #line = 0;
  #process = 'i-1';
  #remembers = false;

  /** Lets time pass. */
  wait(ms: number): this {
    this.wallMs += ms;
    return this;
  }

  start(process: string, remembered: Fields | null = null, slotsDieWithProcess = false): this {
    this.#process = process;
    this.#remembers = remembered !== null;
    const none = { generation: null, epoch: null, leaderSessionId: null };
    return this.te('started', { remembers: this.#remembers, slotsDieWithProcess, ...(remembered ?? none) });
  }

  te(event: string, fields: Fields): this {
    this.#add('te.jsonl', { event, resourceId: 'te-1', process: this.#process, ...fields });
    return this;
  }

  lease(event: string, grantNumber: number, fields: Fields = {}): this {
    const of = { jobId: 'job', jobMasterId: 'jm-1', durationMs: LEASE_MS, claimed: true };
    return this.te(event, { ...this.#place(grantNumber), ...of, ...token(5), ...fields });
  }

  jm(event: string, grantNumber: number, fields: Fields = {}, jobMasterId = 'jm-1'): this {
    const deadlineMs = this.wallMs + 1 + LEASE_MS * 0.9;
    this.#add('jm.jsonl', {
      event,
      jobId: 'job',
      jobMasterId,
      resourceId: 'te-1',
      ...this.#place(grantNumber),
      deadlineMs,
      ...fields,
    });
    return this;
  }

  gap(): this {
    this.#line += 1;
    this.gaps.set('te.jsonl', [...(this.gaps.get('te.jsonl') ?? []), this.#line]);
    return this;
  }

  #place(grantNumber: number): Fields {
    return { slotNumber: 0, allocationId: `a-${grantNumber}`, instanceId: 'i-1', grantNumber };
  }

  #add(file: string, fields: Fields): void {
    this.#line += 1;
    this.wallMs += 1;
    const said = journalFacts(
      { atMs: this.wallMs, ...fields },
      { file, line: this.#line, wallMs: this.wallMs },
    );
    if (said.of === 'executor') this.executors.push(said.facts);
    else if (said.of === 'master') this.masters.push(said.facts);
    else throw new Error(`no line of a journal: ${JSON.stringify(fields)}`);
  }

  get verdict(): AuditVerdict {
    const history = [5n, 7n].map((epoch): HistoryFacts => {
      const leaderSessionId = `s-${epoch}` as LeaderSessionId;
      const ended = epoch === 5n ? 'asked' : null;
      return {
        key: `history/1-${epoch}`,
        createRevision: epoch + 1n,
        modRevision: epoch + (ended === null ? 1n : 2n),
        version: ended === null ? 1n : 2n,
        named: { generation: 1, epoch },
        row: { generation: 1, epoch, leaderSessionId, neverConfirmed: false, ended },
      };
    });
    const { executors, masters, gaps } = this;
    return audit({ generation: 1, history, records: [] }, { executors, masters, gaps, toleranceMs: 500 });
  }

  get rules(): string[] {
    return this.verdict.violations.map(({ guarantee, rule }) => `${guarantee} ${rule}`);
  }
}

/** A process whose slot 0 is claimed and in hand. */
const claimed = (): Journals =>
  new Journals()
    .start('i-1')
    .te('token-adopted', token(5))
    .lease('grant', 1)
    .lease('claim', 1)
    .jm('slot-claimed', 1);

describe('the audit of journals', () => {
  it('finds nothing in a lease that is claimed, renewed, restored, released and followed by another', () => {
    const j = claimed().wait(10_000).lease('renew', 1).jm('lease-renewed', 1);
    j.start('i-2', token(5)).lease('restore', 1).te('token-adopted', token(7)).wait(5_000);
    j.lease('renew', 1).jm('lease-renewed', 1).wait(1_000);
    j.jm('lease-ended', 1, { reason: 'released' }).lease('end', 1, { reason: 'released' });
    j.lease('grant', 2, token(7)).lease('claim', 2).jm('slot-claimed', 2, { allocationId: 'a-2' });
    const { violations, judged, beyond } = j.verdict;
    expect(violations).to.deep.equal([]);
    expect(judged).to.include({
      taskExecutors: 1,
      taskExecutorProcesses: 2,
      jobMasters: 1,
      leases: 2,
      tokens: 2,
    });
    expect(beyond).to.include({ unknownStarts: 0, unattestedHoldings: 0 });
  });

  const end = { reason: 'lapsed' };
  for (const [what, journals, expected] of [
    ['a slot that is granted while it is leased', claimed().lease('grant', 2), ['G3 slot-leased-twice']],
    [
      'a grant number that does not grow',
      claimed().wait(LEASE_MS).lease('end', 1, end).lease('grant', 1, { allocationId: 'a-9' }),
      ['G3 grant-number-fell'],
    ],
    ['a claim of a lease that is not there', claimed().lease('claim', 2), ['G3 not-the-holder']],
    [
      'a renewal of a lease that has ended',
      claimed().wait(LEASE_MS).lease('end', 1, end).lease('renew', 1),
      ['G3 not-the-holder'],
    ],
    ['a lease that is cut short', claimed().wait(29_000).lease('end', 1, end), ['G3 lease-cut-short']],
    [
      'a lease that comes back after its end',
      claimed().wait(LEASE_MS).lease('end', 1, end).start('i-2', token(5)).lease('restore', 1),
      ['G3 ended-lease-restored'],
    ],
    [
      'a slot that is given away after the state was lost',
      claimed()
        .wait(20_000)
        .start('i-2')
        .te('token-adopted', token(5))
        .lease('grant', 2, { instanceId: 'i-2' }),
      ['G3 quarantine-broken'],
    ],
    [
      'one allocation in two slots of a task executor',
      claimed().lease('grant', 2, { slotNumber: 1, allocationId: 'a-1' }),
      ['G4 allocation-leased-twice'],
    ],
    [
      'one allocation in two slots of a job master',
      claimed()
        .lease('grant', 2, { slotNumber: 1 })
        .lease('claim', 2, { slotNumber: 1 })
        .jm('slot-claimed', 2, {
          slotNumber: 1,
          allocationId: 'a-1',
        }),
      ['G4 allocation-holds-two'],
    ],
    [
      'a slot that two job masters have in hand',
      claimed()
        .lease('end', 1, { reason: 'released' })
        .lease('grant', 2)
        .lease('claim', 2)
        .jm('slot-claimed', 2, {}, 'jm-2'),
      ['G3 two-users', 'G3 used-after-end'],
    ],
    [
      'a slot that is kept past the end at its task executor',
      claimed().wait(1_000).lease('end', 1, { reason: 'released' }),
      ['G3 used-after-end'],
    ],
    [
      'a slot that is taken back past the own deadline',
      claimed().wait(29_000).lease('renew', 1).jm('lease-renewed', 1),
      ['G3 kept-past-deadline'],
    ],
    [
      'a slot in hand that was never claimed',
      claimed().jm('slot-claimed', 3, { slotNumber: 1 }),
      ['G3 claimed-from-nobody'],
    ],
    [
      'a token that falls at a task executor',
      claimed().te('token-adopted', token(7)).te('token-adopted', token(5)),
      ['G2 token-fell'],
    ],
    [
      'a command of a lower token that was obeyed',
      new Journals().start('i-1').te('token-adopted', token(7)).lease('grant', 1),
      ['G2 obeyed-lower-token'],
    ],
    [
      'a token that falls over a restart with a state file',
      claimed().te('token-adopted', token(7)).start('i-2', token(5)).lease('restore', 1),
      ['G2 token-forgotten'],
    ],
    [
      'a token that falls at a job master',
      claimed().jm('token-adopted', 0, token(7)).jm('token-adopted', 0, token(5)),
      ['G2 token-fell'],
    ],
    [
      'one epoch under two session ids',
      claimed().te('token-adopted', { ...token(5), leaderSessionId: 'other' }),
      ['G2 token-fell', 'G5 token-never-confirmed'],
    ],
    [
      'a token that was never confirmed',
      claimed().te('token-adopted', token(9)),
      ['G5 token-never-confirmed'],
    ],
  ] as const) {
    it(`finds ${what}`, () => {
      expect(journals.rules.toSorted()).to.deep.equal([...expected].toSorted());
      expect(journals.verdict.violations[0]?.places).not.to.be.empty;
    });
  }

  it('lets a slot be given away at once when its users die with its process', () => {
    const j = claimed().wait(20_000).start('i-2', null, true).te('token-adopted', token(5));
    j.lease('grant', 2, { instanceId: 'i-2' }).lease('claim', 2, { instanceId: 'i-2' });
    j.jm('slot-claimed', 2, { instanceId: 'i-2' }, 'jm-2');
    expect(j.rules).to.deep.equal([]);
  });

  it('lets a slot be given away after its quarantine', () => {
    const j = claimed().wait(LEASE_MS).start('i-2').te('token-adopted', token(5));
    expect(j.lease('grant', 2, { instanceId: 'i-2' }).rules).to.deep.equal([]);
  });

  it('judges no slot by lines that stand before one that cannot be read', () => {
    const j = claimed().wait(LEASE_MS).gap().lease('grant', 2).lease('claim', 2);
    expect(j.rules).to.deep.equal([]);
  });

  it('ends a slot in hand with the deadline of its job master, however late that one writes it down', () => {
    const j = claimed().wait(LEASE_MS).lease('end', 1, end).lease('grant', 2).lease('claim', 2);
    j.jm('slot-claimed', 2, {}, 'jm-2').wait(60_000).jm('lease-ended', 1, { reason: 'expired' });
    expect(j.rules).to.deep.equal([]);
  });

  it('does not attest a slot in hand without the journal of its task executor, and says so', () => {
    const { violations, beyond } = new Journals().jm('slot-claimed', 1).verdict;
    expect([violations, beyond.unattestedHoldings]).to.deep.equal([[], 1]);
  });

  it('starts anew with a process of which no line tells what it remembered', () => {
    const j = claimed().te('token-adopted', token(7));
    j.executors.push({ ...j.executors[1]!, process: 'i-9' as ExecutorFacts['process'], line: 99 });
    expect([j.rules, j.verdict.beyond.unknownStarts]).to.deep.equal([[], 1]);
  });
});

import type {
  ElectionEffect,
  ElectionEvent,
  Ending,
  Observation,
} from '../../src/core/election/election-events.ts';
import type { ClusterId, LeaderSessionId } from '../../src/core/ids.ts';
import type { KeyValue, RangeOperation, TransactionResult } from '../../src/ha/coordination-store.ts';
import type { KnownHistory } from '../../src/ha/history.ts';
import type { Call, Purpose, StoreAnswer, StoreRequest } from './election-calls.ts';
import { type CandidateProcess, candidateName, isWrite, nonceOf } from './candidate.ts';
import { type ElectionMachines, KEYS } from './election-machines.ts';
import { closedByHead, seeLine } from './known-history.ts';
import type { StoreProcess } from './store-process.ts';
import { timeOf, withHistory } from './term-transactions.ts';

const READ_HISTORY: StoreRequest = {
  kind: 'transact',
  transaction: { compare: [], success: [{ type: 'range', key: KEYS.history, prefix: true }], failure: [] },
};

/** A turn of one candidate. */
export class CandidateTurn {
  readonly #machines: ElectionMachines;
  readonly #process: CandidateProcess;
  readonly #nowMs: number;
  readonly #notes: string[];

  constructor(machines: ElectionMachines, process: CandidateProcess, nowMs: number, notes: string[]) {
    this.#machines = machines;
    this.#process = process;
    this.#nowMs = nowMs;
    this.#notes = notes;
  }

  handle(event: ElectionEvent): void {
    for (const effect of this.#process.machine.handle(event, this.#nowMs, this.#nowMs)) this.#perform(effect);
  }

  observed(observation: Observation, text: string, identityValue: string | null): void {
    this.#process.seen = text;
    this.#process.identityValue = identityValue;
    this.handle({ type: 'observed', observation });
    const { ahead } = this.#process;
    const epoch = observation.leader?.epoch ?? null;
    if (ahead === null || epoch === null || epoch === ahead.readFor) return;
    ahead.readFor = epoch;
    this.#call({ kind: 'readAhead' }, READ_HISTORY, 0);
  }

  /** Who stands in line, before it is observed. */
  seesLine(store: StoreProcess, listed: boolean): void {
    const { ahead } = this.#process;
    if (ahead !== null) seeLine(ahead, store, listed);
  }

  /** An operator asks it to go. */
  resign(): void {
    this.handle({ type: 'resignRequested', request: 1, reason: 'asked', to: null });
  }

  /** Writes a record in the name of its term, if it may. */
  writeRecord(): void {
    const { leads, session, machine } = this.#process;
    if (leads === null || session === null) return;
    if (!machine.mayServe(leads.candidacy, this.#nowMs, this.#nowMs)) return;
    const own = { key: session.key, createRevision: leads.token.epoch };
    const key = KEYS.taskExecutor('te');
    const transaction = this.#machines.transactions.guarded(own, {
      alsoIf: [],
      operations: [{ type: 'put', key, value: `${leads.token.epoch}` }],
      readBack: [],
    });
    this.#call({ kind: 'write', token: leads.token }, { kind: 'transact', transaction });
  }

  /** The store has answered that call. */
  answered(call: Call, answer: StoreAnswer, observe: (result: TransactionResult) => void): void {
    this.#process.calls = this.#process.calls.filter(({ id }) => id !== call.id);
    const { purpose, candidacy, sentMs } = call;
    const sent = { monotonicMs: sentMs, wallMs: sentMs };
    const session = this.#process.session;
    const result = answer.kind === 'transacted' ? answer.result : null;
    switch (purpose.kind) {
      case 'list':
        if (result !== null) observe(result);
        return;
      case 'identity': {
        if (result === null) return;
        const found = this.#rows(result, 0)[0];
        const identity = result.succeeded
          ? purpose.minted
          : found === undefined
            ? null
            : this.#machines.records.parseIdentity(found.value);
        return this.handle({ type: 'identityAnswered', identity, revision: result.revision });
      }
      case 'grantLease':
        if (answer.kind === 'lease') {
          const ttlMs = answer.ttlSeconds * 1_000;
          this.handle({ type: 'leaseGranted', candidacy, ttlMs, sent });
        } else this.handle({ type: 'candidacyFailed', candidacy, reason: 'refused' });
        return;
      case 'keepAlive':
        if (answer.kind === 'lease') {
          const outcome = { kind: 'kept', ttlMs: answer.ttlSeconds * 1_000, sent } as const;
          return this.handle({ type: 'keepAliveAnswered', candidacy, outcome });
        }
        return this.handle({ type: 'keepAliveAnswered', candidacy, outcome: { kind: 'lost' } });
      case 'putKey': {
        if (result === null || session === null) {
          return this.handle({ type: 'candidacyFailed', candidacy, reason: 'no lease' });
        }
        const createRevision = result.succeeded ? result.revision : this.#rows(result, 0)[0]?.createRevision;
        if (createRevision === undefined) return;
        session.createRevision = createRevision;
        return this.handle({ type: 'candidateKeyPut', candidacy, createRevision });
      }
      case 'readAhead':
      case 'rows': {
        if (result === null) return;
        const rows = this.#rows(result, 0);
        if (this.#process.ahead !== null) this.#process.ahead.rows = rows;
        if (purpose.kind === 'rows') this.#withHistory(purpose.wanted, { rows });
        return;
      }
      case 'confirm': {
        if (result === null) {
          return this.handle({ type: 'confirmAnswered', candidacy, outcome: { kind: 'key-gone' } });
        }
        const verdict = result.succeeded
          ? 'confirmed'
          : this.#machines.judgeElseBranch(result, purpose.term, purpose.deposed);
        if (verdict === 'confirmed' && session !== null) session.confirmed = true;
        if (verdict !== 'confirmed' && verdict.kind === 'refused' && purpose.unread !== null)
          return this.#call({ kind: 'rows', wanted: purpose.unread }, READ_HISTORY);
        const outcome = verdict === 'confirmed' ? ({ kind: 'confirmed', sent } as const) : verdict;
        return this.handle({ type: 'confirmAnswered', candidacy, outcome });
      }
      case 'depose':
        return this.handle({
          type: 'deposed',
          candidacy,
          outcome: result?.succeeded === true ? 'done' : 'refused',
        });
      case 'challenge': {
        const { head } = purpose.effect;
        const epoch = head.createRevision;
        const own = { key: session?.key ?? '', createRevision: session?.createRevision ?? 0n };
        const outcome = this.#challengeOutcome(result, head, own);
        return this.handle({ type: 'challengePut', candidacy, epoch, outcome });
      }
      case 'readChallenge': {
        const { createRevision, generation, head } = purpose.effect;
        const key = KEYS.challenge(generation, head.createRevision);
        const found = result === null ? [] : this.#rows(result, 0);
        const standing = this.#machines.transactions.isAmong(found, { key, createRevision });
        return this.handle({ type: 'challengeRead', candidacy, createRevision, standing });
      }
      case 'check': {
        const { check, purpose: why } = purpose.effect;
        if (result === null) return;
        const challenged = result.succeeded && why === 'look' && this.#rows(result, 0).length > 0;
        const outcome = challenged
          ? ({ kind: 'challenged', askerReaches: 1, ownReaches: 1 } as const)
          : ({ kind: result.succeeded ? 'standing' : 'key-gone' } as const);
        return this.handle({ type: 'checkAnswered', candidacy, check, sent, outcome });
      }
      case 'write':
        if (result?.succeeded === false) {
          this.handle({ type: 'keyFoundGone', candidacy, how: 'a guarded write found it gone' });
        }
        return;
      case 'depart':
        return this.#call(
          { kind: 'revoke' },
          { kind: 'revokeLease', leaseId: this.#leaseOf(candidacy) },
          candidacy,
        );
      case 'revoke':
        return this.handle({ type: 'released', candidacy });
    }
  }

  /** Nothing has answered a call that is sent once. */
  failed(call: Call): void {
    this.#process.calls = this.#process.calls.filter(({ id }) => id !== call.id);
    const { purpose, candidacy, sentMs } = call;
    if (purpose.kind === 'keepAlive') {
      this.handle({ type: 'keepAliveAnswered', candidacy, outcome: { kind: 'failed' } });
    } else if (purpose.kind === 'check') {
      const sent = { monotonicMs: sentMs, wallMs: sentMs };
      const { check } = purpose.effect;
      this.handle({ type: 'checkAnswered', candidacy, check, sent, outcome: { kind: 'failed' } });
    }
  }

  #rows(result: TransactionResult, index: number): readonly KeyValue[] {
    return this.#machines.transactions.rangeOf(result.results, index);
  }

  #leaseOf(candidacy: number): bigint {
    return BigInt(256 * (this.#process.index + 1) + candidacy);
  }

  #challengeOutcome(
    result: TransactionResult | null,
    head: { readonly key: string; readonly createRevision: bigint },
    own: { readonly key: string; readonly createRevision: bigint },
  ): Extract<ElectionEvent, { readonly type: 'challengePut' }>['outcome'] {
    if (result === null) return { kind: 'failed' };
    if (result.succeeded) return { kind: 'standing', createRevision: result.revision };
    const line = this.#rows(result, 1);
    const { isAmong } = this.#machines.transactions;
    if (!isAmong(line, head) || !isAmong(line, own)) return { kind: 'gone' };
    const found = this.#rows(result, 0)[0];
    return found === undefined
      ? { kind: 'failed' }
      : { kind: 'standing', createRevision: found.createRevision };
  }

  #withHistory(
    effect: Extract<ElectionEffect, { readonly type: 'confirm' | 'depose' }>,
    known: KnownHistory,
  ): void {
    const { candidacy } = effect;
    const call = withHistory(this.#machines, this.#process, effect, known, this.#nowMs);
    if (call === null) return;
    if (call !== 'limited')
      return this.#call(call.purpose, { kind: 'transact', transaction: call.transaction }, candidacy);
    if (effect.type === 'depose') this.handle({ type: 'deposed', candidacy, outcome: 'limited' });
    else this.handle({ type: 'confirmAnswered', candidacy, outcome: { kind: 'limited' } });
  }

  #perform(effect: ElectionEffect): void {
    const { transactions, challenge, records } = this.#machines;
    const process = this.#process;
    const { session, index } = process;
    const own = { key: session?.key ?? '', createRevision: session?.createRevision ?? 0n };
    const read = (range: RangeOperation): StoreRequest => ({
      kind: 'transact',
      transaction: { compare: [], success: [range], failure: [] },
    });
    switch (effect.type) {
      case 'createIdentity': {
        const minted = { clusterId: `cluster-of-${index}` as ClusterId, generation: 1 };
        const transaction = transactions.createIdentity(KEYS, minted);
        return this.#call({ kind: 'identity', minted }, { kind: 'transact', transaction });
      }
      case 'openCandidacy': {
        const leaseId = this.#leaseOf(effect.candidacy);
        const key = KEYS.candidate(leaseId);
        const leaderSessionId = `session-${index}-${effect.candidacy}` as LeaderSessionId;
        const fresh = { number: effect.candidacy, leaseId, key, leaderSessionId };
        process.session = { ...fresh, createRevision: null, record: null, confirmed: false, grants: 0 };
        return this.handle({ type: 'candidacyOpened', candidacy: effect.candidacy, key, leaderSessionId });
      }
      case 'grantLease':
        return this.#call(
          { kind: 'grantLease' },
          { kind: 'grantLease', leaseId: this.#leaseOf(effect.candidacy) },
        );
      case 'putCandidateKey': {
        const id = candidateName(index);
        const about = {
          resourceManagerId: id,
          address: `${id}:1`,
          bootNonce: nonceOf(index),
          version: '1',
          protocolVersion: 1,
          oldestProtocolVersion: 1,
        };
        const value = records.formatCandidate(about);
        const transaction = transactions.putCandidate(KEYS, own.key, value, this.#leaseOf(effect.candidacy));
        return this.#call({ kind: 'putKey' }, { kind: 'transact', transaction });
      }
      case 'observe':
        process.calls = process.calls.filter(({ purpose }) => purpose.kind !== 'list');
        return this.#call(
          { kind: 'list' },
          { kind: 'transact', transaction: transactions.listElection(KEYS) },
          0,
        );
      case 'keepAlive':
        return this.#call(
          { kind: 'keepAlive' },
          { kind: 'keepAlive', leaseId: this.#leaseOf(effect.candidacy) },
        );
      case 'grantLeadership':
        if (session !== null && ++session.grants > 1) this.#notes.push(`granted twice ${session.key}`);
        return this.handle({ type: 'confirmRequested', leaderSessionId: effect.leaderSessionId });
      case 'confirm': {
        const { ahead } = process;
        const known =
          ahead === null || effect.deposition !== null ? null : closedByHead(this.#machines, ahead);
        if (known !== null) return this.#withHistory(effect, known);
        return this.#call({ kind: 'rows', wanted: effect }, READ_HISTORY);
      }
      case 'depose':
        return this.#call({ kind: 'rows', wanted: effect }, READ_HISTORY);
      case 'putChallenge': {
        const asker = {
          own,
          leaseId: this.#leaseOf(effect.candidacy),
          resourceManagerId: candidateName(index),
          taskExecutors: 1,
        };
        const transaction = challenge.putChallenge(KEYS, asker, effect.generation, effect.head);
        return this.#call({ kind: 'challenge', effect }, { kind: 'transact', transaction });
      }
      case 'readChallenge': {
        const key = KEYS.challenge(effect.generation, effect.head.createRevision);
        return this.#call({ kind: 'readChallenge', effect }, read({ type: 'range', key }));
      }
      case 'leadershipConfirmed':
        process.leads = { candidacy: effect.candidacy, token: effect.token };
        this.#notes.push(`confirmed ${effect.token.epoch} ${effect.token.leaderSessionId}`);
        return;
      case 'probe':
        return this.handle({ type: 'probed', candidacy: effect.candidacy, check: effect.check });
      case 'sendCheck': {
        const { token, purpose } = effect;
        const make = purpose === 'look' ? transactions.check : transactions.answerChallenge;
        const transaction = make(KEYS, { key: own.key, createRevision: token.epoch }, token);
        return this.#call({ kind: 'check', effect }, { kind: 'transact', transaction });
      }
      case 'revokeLeadership':
        process.leads = null;
        return;
      case 'release':
        return this.#release(effect.ending);
      case 'refuseResignation':
      case 'stopped':
      case 'servingChanged':
      case 'log':
        return;
    }
  }

  #release(ending: Ending): void {
    const process = this.#process;
    const { session } = process;
    if (session === null) return;
    const over = process.calls.filter(({ candidacy }) => candidacy === session.number);
    process.calls = process.calls.filter((call) => !over.includes(call));
    const writes = over.filter(({ request, lost }) => !lost && isWrite(request));
    process.orphans = [...process.orphans, ...writes.map(({ request }) => request)];
    const by = candidateName(process.index);
    const ended = { at: timeOf(this.#nowMs), reason: ending.reason, evidence: ending.evidence, by };
    const { transactions } = this.#machines;
    const row =
      session.confirmed && session.record !== null
        ? { ...transactions.historyOf(session.record), ended }
        : null;
    const departure = { key: session.key, ending, row, handOver: ending.handOver };
    this.#call({ kind: 'depart' }, { kind: 'transact', transaction: transactions.depart(KEYS, departure) });
  }

  #call(purpose: Purpose, request: StoreRequest, candidacy = this.#process.session?.number ?? 0): void {
    const process = this.#process;
    const once = purpose.kind === 'check' || purpose.kind === 'keepAlive';
    const call = {
      id: process.nextCall,
      candidacy,
      purpose,
      request,
      sentMs: this.#nowMs,
      once,
      lost: false,
    };
    process.nextCall += 1;
    process.calls = [...process.calls, call];
  }
}

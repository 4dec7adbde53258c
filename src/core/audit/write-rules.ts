import { compareTokens, formatToken, type FencingToken } from '../fencing-token.ts';
import type { Change } from './change.ts';
import { isOf, type KeyOf } from './standing-keys.ts';
import type { WrittenRow } from './store-writes.ts';

/** A confirm: the only way to write the leader record (G1), once for an epoch (G5). */
export function judgeRecord(change: Change, record: KeyOf<'leader'>): void {
  const { key, is, lease } = record;
  const { before, terms } = change;
  const { token } = is;
  if (token === null) {
    return change.found('G1', 'record-unreadable', 'The value is none that a leader writes.', [key]);
  }
  const name = formatToken(token);
  const own = before.candidate(token.epoch);
  if (own === undefined) return foundNotStanding(change, key, token);
  const add = (rule: string, detail: string, keys: readonly string[] = []): void =>
    change.found('G1', rule, detail, [key, ...keys], [token.epoch]);
  if (lease === 0n || lease !== own.lease) {
    add('leader-unbound', 'The leader record is not bound to the lease of its candidate key.', [own.key]);
  }
  const ahead = change.staying.filter(({ createRevision }) => createRevision < token.epoch);
  if (ahead.length > 0) {
    const detail = `Term ${name} was confirmed behind a candidate with a lower create revision.`;
    add('confirmed-behind', detail, [ahead[0]?.key ?? '']);
  }
  const identity = before.all('identity')[0]?.is.generation ?? null;
  if (identity !== token.generation) {
    add('generation-differs', `Term ${name} was confirmed in generation ${identity ?? 'none'}.`);
  }
  const row = change.puts.find(
    (put): put is KeyOf<'history'> => isOf(put, 'history') && isRowOf(put.is.row, token),
  );
  if (row === undefined || before.get(row.key) !== undefined) {
    add('leader-not-confirmed', `The leader record was not written in the confirm of its term ${name}.`);
  }
  judgeRepetition(change, key, token);
  judgeSuccession(change, key, token);
  terms.add({
    token,
    revision: change.revision,
    receivedWallMs: change.receivedWallMs,
    decidedWallMs: is.confirmedAtMs,
    endRevision: null,
  });
}

function judgeRepetition(change: Change, key: string, token: FencingToken): void {
  const { terms } = change;
  const name = formatToken(token);
  const again = terms.find(token);
  if (again !== null) {
    const detail = `Term ${name} was confirmed a second time on the same candidate key.`;
    change.found('G5', 'confirmed-twice', detail, [key], [again.revision]);
  }
  const same = terms.bySession(token.leaderSessionId);
  if (same !== null && same !== again) {
    const detail = `Term ${name} has the leader session id of term ${formatToken(same.token)}.`;
    change.found('G5', 'session-used-twice', detail, [key], [same.revision]);
  }
}

function judgeSuccession(change: Change, key: string, token: FencingToken): void {
  const { before, terms, removed } = change;
  const name = formatToken(token);
  const { highest } = terms;
  if (highest !== null && compareTokens(token, highest.token) < 0) {
    const detail = `Term ${name} replaced the newer one ${formatToken(highest.token)}.`;
    change.found('G1', 'older-over-newer', detail, [key], [highest.revision]);
  }
  const closed = new Set(change.puts.filter((put) => isOf(put, 'history')).map((put) => put.key));
  for (const row of before.all('history')) {
    if (row.is.row === null || row.is.row.ended !== null || closed.has(row.key) || change.deletes(row.key))
      continue;
    const detail = `Term ${formatToken(row.is.row)} was still open when ${name} was confirmed.`;
    change.found('G1', 'two-terms-open', detail, [row.key, key], [row.createRevision]);
  }
  const [head] = removed;
  if (head === undefined || head.createRevision >= token.epoch) return;
  const told = change.puts.some((put) => isOf(put, 'history') && put.is.row?.epoch === head.createRevision);
  if (!told) {
    const detail = `Term ${name} removed the head of the line without a word in history.`;
    change.found('G1', 'deposed-without-evidence', detail, [head.key, key], [head.createRevision]);
  }
}

/** A registration: written by a confirmed leader whose candidate key stands, never over a newer one (G1). */
export function judgeRegistration(change: Change, put: KeyOf<'registration'>): void {
  const { key, is } = put;
  const { token } = is;
  if (token === null) {
    return change.found('G1', 'record-unreadable', 'The value is none that a leader writes.', [key]);
  }
  const name = formatToken(token);
  const term = change.terms.find(token);
  const own = change.before.candidate(token.epoch);
  if (own === undefined) {
    foundNotStanding(change, key, token);
  } else if (term === null) {
    const detail = `It was written before its term ${name} was confirmed.`;
    change.found('G1', 'before-confirm', detail, [key, own.key]);
  } else if (term.token.leaderSessionId !== token.leaderSessionId) {
    const detail = `It names term ${name} with a leader session id that was not confirmed.`;
    change.found('G1', 'session-differs', detail, [key], [term.revision]);
  }
  const over = change.before.get(key);
  if (over === undefined || !isOf(over, 'registration') || over.is.token === null) return;
  if (compareTokens(token, over.is.token) < 0) {
    const detail = `A record of term ${name} replaced one of the newer term ${formatToken(over.is.token)}.`;
    change.found('G1', 'older-over-newer', detail, [key], [over.modRevision]);
  }
}

function foundNotStanding(change: Change, key: string, token: FencingToken): void {
  const name = formatToken(token);
  const term = change.terms.find(token);
  if (term === null) {
    const detail = `It names term ${name}, whose candidate key did not stand and which was never confirmed.`;
    return change.found('G1', 'term-unknown', detail, [key]);
  }
  const { revision, endRevision } = term;
  const detail = `It was written when its term ${name} had ended.`;
  const span = endRevision === null ? [revision] : [revision, endRevision];
  change.found('G1', 'after-end', detail, [key], span);
}

/** A row of history: born in a confirm or in a deposition, closed once by whoever ends the term (G1). */
export function judgeRow(change: Change, put: KeyOf<'history'>): void {
  const { key, is } = put;
  const { row, named } = is;
  const before = change.before.get(key);
  if (row === null) return change.found('G1', 'row-unreadable', 'The value is no row of history.', [key]);
  const name = formatToken(row);
  if (named === null || compareTokens(named, row) !== 0) {
    change.found('G1', 'row-misplaced', `The row of term ${name} stands under another key.`, [key]);
  }
  if (before === undefined || !isOf(before, 'history')) return judgeBirth(change, put, row);
  const was = before.is.row;
  const revisions = [before.createRevision, before.modRevision];
  if (was === null || was.ended !== null || row.ended === null) {
    const when = was?.ended === null ? 'while the term was open' : 'after the term had ended';
    return change.found('G1', 'row-rewritten', `The row was written again ${when}.`, [key], revisions);
  }
  if (compareTokens(was, row) !== 0 || was.leaderSessionId !== row.leaderSessionId) {
    const detail = `The row of term ${formatToken(was)} was closed as that of another one.`;
    change.found('G1', 'row-changed', detail, [key], revisions);
  }
  judgeClosing(change, key, row);
}

function judgeBirth(change: Change, { key }: KeyOf<'history'>, row: WrittenRow): void {
  const name = formatToken(row);
  const token = change.record?.is.token ?? null;
  if (!row.neverConfirmed) {
    if (token === null || !isRowOf(row, token)) {
      change.found('G1', 'row-without-confirm', `The row of term ${name} was not written in its confirm.`, [
        key,
      ]);
    } else if (row.ended !== null) {
      change.found('G1', 'row-born-ended', `Term ${name} had ended in the confirm itself.`, [key]);
    }
    return;
  }
  const isRemoved = change.removed.some(({ createRevision }) => createRevision === row.epoch);
  if (row.ended === null || !isRemoved) {
    const detail = `The row says that the head ${name} was removed, but nobody removed it with that.`;
    change.found('G1', 'row-without-deposition', detail, [key]);
  } else {
    judgeEvidence(change, key, row);
  }
}

function judgeClosing(change: Change, key: string, row: WrittenRow): void {
  const goes = change.removed.some(({ createRevision }) => createRevision === row.epoch);
  const stays = change.before.candidate(row.epoch) !== undefined && !goes;
  if (stays) {
    const detail = `The row of term ${formatToken(row)} was closed while its candidate key stood.`;
    change.found('G1', 'closed-while-standing', detail, [key], [row.epoch]);
  } else if (!goes && change.record === undefined && !change.isNewGeneration) {
    const detail = `The row of term ${formatToken(row)} was closed outside of a confirm and of its end.`;
    change.found('G1', 'row-closed-by-nobody', detail, [key], [row.epoch]);
  }
  if (goes) judgeEvidence(change, key, row);
}

/** A deposition is made by somebody in line, and says why. */
function judgeEvidence(change: Change, key: string, { ended, epoch }: WrittenRow): void {
  if (ended === null || ended.reason !== 'deposed') return;
  if (ended.evidence === '') {
    const detail = 'The deposition names no evidence.';
    change.found('G1', 'deposed-without-evidence', detail, [key], [epoch]);
  }
  const stands = change.staying.some(({ is }) => is.resourceManagerId === ended.by);
  if (!stands) {
    const detail = `It was deposed by ${ended.by}, whose candidate key did not stand.`;
    change.found('G1', 'deposed-by-nobody', detail, [key], [epoch]);
  }
}

/** A challenge: to the head of the line, once, by somebody in line. */
export function judgeChallenge(change: Change, put: KeyOf<'challenge'>): void {
  const { key, is, lease } = put;
  const [head] = change.before.line;
  if (change.before.get(key) !== undefined) {
    change.found('G1', 'challenge-rewritten', 'A challenge that stood was put again.', [key]);
  }
  if (is.named === null || head === undefined || head.createRevision !== is.named.epoch) {
    change.found('G1', 'challenge-to-nobody', 'The challenge is to no head of the line.', [key]);
  }
  if (!change.before.line.some((candidate) => candidate.lease === lease && lease !== 0n)) {
    change.found('G1', 'challenge-by-nobody', 'No candidate stands on the lease of the challenge.', [key]);
  }
}

/** The identity: the first write of a cluster, or an operator's new generation, which leaves no leader behind. */
export function judgeIdentity(change: Change, put: KeyOf<'identity'>): void {
  const { key, is } = put;
  const [was] = change.before.all('identity');
  if (is.generation === null) {
    return change.found('G1', 'identity-unreadable', 'The value is no identity.', [key]);
  }
  const highest = Math.max(
    was?.is.generation ?? -1,
    ...change.before.all('history').map(({ is: { row } }) => row?.generation ?? -1),
  );
  if (is.generation <= highest) {
    const detail = `The identity was written anew in generation ${is.generation}, which is not above ${highest}.`;
    return change.found(
      'G1',
      'identity-rewritten',
      detail,
      [key],
      was === undefined ? [] : [was.modRevision],
    );
  }
  const [record] = change.before.all('leader');
  if (record !== undefined && !change.deletes(record.key)) {
    const detail = `Generation ${is.generation} began and left the leader record of the former one.`;
    change.found('G1', 'leader-outlives-generation', detail, [key, record.key], [record.modRevision]);
  }
}

function isRowOf(row: WrittenRow | null, token: FencingToken): boolean {
  return row !== null && compareTokens(row, token) === 0 && row.leaderSessionId === token.leaderSessionId;
}

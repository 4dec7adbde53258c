import { labelledText } from '../labelled-text.ts';
import type { Gap, Term, TermAccount } from './term-account.ts';

/** The account in words: who led, when, how it ended, on whose evidence, and what was around it. */
export function renderAccount(account: TermAccount): string {
  const { term } = account;
  return labelledText([
    ['Term', `${term.term}, ${leaderOf(term)}`],
    ['Led', ledText(account)],
    ['Session', term.leaderSessionId ?? '-'],
    ['Before', beforeText(account)],
    ...account.neverConfirmedBefore.map((each): [string, string] => [
      '',
      `${each.term} ${leaderOf(each)} was removed unconfirmed: ${whyOf(each)}`,
    ]),
    ...endRows(term),
    ['After', afterText(account)],
  ]);
}

function ledText({ term, ledForMs, ledAtMost, after }: TermAccount): string {
  if (term.neverConfirmed) return 'never: it was removed from the head of the line before its confirm';
  const from = `from ${term.confirmedAt ?? 'an unknown moment'}`;
  if (term.ended !== null) {
    const until = `${from} to ${term.ended.at ?? 'an unknown moment'}${ledAtMost ? ' at the latest' : ''}`;
    if (ledForMs === null) return until;
    return `${until}, ${lasting(ledForMs)}${ledAtMost ? ' at most' : ''}`;
  }
  return after === null
    ? `${from}; it leads still, or nobody has been confirmed since`
    : `${from}; nobody has written down when it ended`;
}

function endRows({ ended, resourceManagerId, neverConfirmed }: Term): [string, string][] {
  if (ended === null) return [];
  const writer = ended.by === resourceManagerId ? `${ended.by}, itself` : (ended.by ?? 'an unknown one');
  return [
    [neverConfirmed ? 'Removed' : 'Ended', ended.reason ?? 'without a reason'],
    ['Evidence', ended.evidence ?? '-'],
    ['Told by', writer],
  ];
}

function beforeText({ term, before }: TermAccount): string {
  if (before === null) return 'no earlier term is in history';
  const { term: earlier, leaderless } = before;
  const end = earlier.ended?.at === null || earlier.ended === null ? '' : `, ended ${earlier.ended.at}`;
  // Nobody led from the earlier term until a confirm; that of this term, if it had one.
  const gap = term.neverConfirmed ? '' : `; ${gapText(leaderless, earlier, term)}`;
  return `${earlier.term} ${leaderOf(earlier)}${end}${gap}`;
}

function afterText({ term, after }: TermAccount): string {
  if (after === null) return 'no later term is in history';
  const { term: later, leaderless } = after;
  const start = `${later.term} ${leaderOf(later)}, confirmed ${later.confirmedAt ?? 'at an unknown moment'}`;
  return term.neverConfirmed ? start : `${start}; ${gapText(leaderless, term, later)}`;
}

function gapText({ ms, asSeen, unknownBecause }: Gap, earlier: Term, later: Term): string {
  if (ms !== null) return `nobody ${asSeen ? 'was seen to lead' : 'led'} for ${lasting(ms)} in between`;
  const unknown = 'how long nobody led is not known';
  switch (unknownBecause) {
    case 'ended-by-the-confirm':
      return `${unknown}: the confirm of ${leaderOf(later)} itself wrote the end down, and ${leaderOf(earlier)} may have fallen silent long before`;
    case 'clocks-differ':
      return `${unknown}: by its clock ${leaderOf(later)} was confirmed before ${leaderOf(earlier)} ended, so their clocks differ`;
    case 'no-end-recorded':
      return `${unknown}: no end was written down`;
    case 'no-times':
    case null:
      return `${unknown}: the records have no times`;
  }
}

function whyOf({ ended }: Term): string {
  return ended === null ? 'nobody wrote down why' : [ended.reason, ended.evidence].filter(Boolean).join(': ');
}

function leaderOf({ resourceManagerId }: Term): string {
  return resourceManagerId ?? 'an unknown one';
}

/** `17.1 s` and alike. */
function lasting(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  const seconds = ms / 1_000;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

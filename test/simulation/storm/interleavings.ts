/** How often each interleaving that matters was seen, by its name. */
export class Interleavings {
  readonly counts = new Map<string, number>();

  saw(what: string, times = 1): void {
    if (times > 0) this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }
}

/** What every run of many seeds must have seen: a kind that is never seen is a failure of the schedule. */
export const EXPECTED_INTERLEAVINGS: readonly string[] = [
  'grants',
  'claims',
  'leases restored after a restart',
  'leases lapsed',
  'confirms',
  'confirms with unknown outcome',
  'confirms of unknown outcome that had committed',
  'confirms that committed after a copy of them had timed out',
  'writes sent again',
  'depositions by challenge',
  'depositions by refused connection',
  'depositions by another process in its place',
  'depositions of a key that is no candidate',
  'terms ended by a step-down',
  'terms ended by their own deadline',
  'terms ended without a word',
  'challenges',
  'challenges answered',
  'commands fenced at a task executor',
  'commands out of date at a task executor',
  'reports overtaken by a command',
  'reports to a leader of the past',
  'double grants for one request',
  'grants after a change of leader, for a request of before',
  'superseded job masters',
  'superseded task executors',
  'suspensions',
  'suspensions that ended without a change of leader',
  'gaps of job masters',
  'requests ended without slots',
  'leases lost by their job',
  'generations declared by an operator',
  'watches ended',
  'frames overtaken on another connection',
];

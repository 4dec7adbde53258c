/** A bug of etcd that touches elections, and the first patch of each line without it. */
export interface KnownBug {
  readonly name: string;
  readonly reference: string;
  readonly cost: string;
  /** First mended patch by `major.minor`; later lines are without it. */
  readonly mendedIn: Readonly<Record<string, number>>;
}

/** From etcd's change logs. */
export const KNOWN_BUGS: readonly KnownBug[] = [
  {
    name: 'a stale etcd leader revokes leases that are alive',
    reference: 'etcd-io/etcd#15247',
    cost: 'a healthy leader loses its candidate key when the disk or processor of an etcd member stalls: a change of leader for nothing',
    mendedIn: { '3.4': 31, '3.5': 13, '3.6': 0 },
  },
  {
    name: 'a renewal may be answered with success though the lease was just revoked',
    reference: 'etcd-io/etcd#14758',
    cost: 'a candidate believes in a lease that is gone until its next check; the checks of a leader find it out in 125 ms',
    mendedIn: { '3.4': 38, '3.5': 23, '3.6': 5 },
  },
  {
    name: 'a linearizable read may be stale after a member was paused or etcd changed its leader',
    reference: 'etcd-io/etcd#21385, #21423',
    cost: 'a leadership check may be confirmed that should not be; commands of an old leader are still refused by whoever gets them',
    mendedIn: { '3.4': 42, '3.5': 28, '3.6': 9 },
  },
];

/** The bugs that this version has, each with the version of its line that mends it, or of the first line that does. */
export function bugsOf(version: string): { readonly bug: KnownBug; readonly mendedBy: string }[] {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined || minor === undefined || patch === undefined) return [];
  return KNOWN_BUGS.flatMap((bug) => {
    const line = `${major}.${minor}`;
    const mended = bug.mendedIn[line];
    if (mended !== undefined) {
      return Number(patch) < mended ? [{ bug, mendedBy: `${line}.${mended}` }] : [];
    }
    const [first, firstPatch] = Object.entries(bug.mendedIn)[0] ?? [];
    const isOlder = first !== undefined && order(line) < order(first);
    return isOlder ? [{ bug, mendedBy: `${first}.${firstPatch}` }] : [];
  });
}

function order(line: string): number {
  const [major = 0, minor = 0] = line.split('.').map(Number);
  return major * 1_000 + minor;
}

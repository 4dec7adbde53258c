import { STRANGERS } from './etcd-faults.ts';
import { type Fault, lengthMs, type Strike } from './fault-kind.ts';
import type { StormWorld } from './storm-world.ts';

/** How long after a backup its etcd is lost, at most. */
const MOST_BACKUP_AGE_MS = 3_000;
const MOST_PATIENCE_MS = 2_000;
/**
 * Two whose keys a backup holds may both find them standing until they look at what is around them: the next comparison
 * with a listing, and a second one that shows the same a second later. Workers obey the newer one.
 */
const FOUND_OUT_WITHIN_MS = 3_000;

/** All members end, and start again with other data; an operator sees to what follows. */
function lose(world: StormWorld, strike: Strike, what: string): void {
  const { cluster, operator } = world;
  const { etcd } = cluster;
  const snapshot = what === 'etcd wiped' ? null : etcd.snapshot();
  const ageMs = snapshot === null ? 0 : 50 + MOST_BACKUP_AGE_MS * strike.action.target;
  const start = (): void => {
    // Whatever else has become of the members meanwhile.
    etcd.shutDown();
    world.etcdLost();
    etcd.startWith(snapshot);
    etcd.setFull(false);
    // A backup may have what was taken away since.
    for (const key of STRANGERS) etcd.deleteKey(key);
    world.allowOverlap({}, FOUND_OUT_WITHIN_MS);
    world.disturbedMs = world.nowMs;
    operator.watch(MOST_PATIENCE_MS * strike.action.variant);
  };
  world.during(ageMs, () => {
    etcd.shutDown();
    if (world.healed) start();
    else world.during(lengthMs(strike, 20, 3_000), start);
  });
}

function loss(what: string): Fault {
  return (world, strike) => {
    lose(world, strike, what);
    return what;
  };
}

/** etcd loses what it holds, or what it was told since a backup. */
export const ETCD_LOSSES: Readonly<Record<string, Fault>> = {
  'etcd-wiped': loss('etcd wiped'),
  'etcd-restored': loss('etcd restored'),
};

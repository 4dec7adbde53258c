import type { KeyValue } from '../../../src/ha/coordination-store.ts';
import { ClusterKeys } from '../../../src/ha/keys.ts';
import { CLUSTER } from '../simulated-cluster.ts';
import type { CallFilter } from '../simulated-etcd.ts';
import type { MemberCondition } from '../simulated-member.ts';
import { type Fault, lengthMs, pointedAt, type Strike, struck } from './fault-kind.ts';
import type { StormWorld } from './storm-world.ts';

const KEYS = new ClusterKeys(CLUSTER);

function candidates({ cluster }: StormWorld): KeyValue[] {
  const { keyValues } = cluster.etcd.state.range({ type: 'range', key: KEYS.election, prefix: true });
  return keyValues.toSorted((a, b) => (a.createRevision < b.createRevision ? -1 : 1));
}

/** Mostly the head of the line, now and then somebody behind it. */
function candidate(world: StormWorld, { action }: Strike): KeyValue | null {
  const line = candidates(world);
  return action.target < 0.7 ? (line[0] ?? null) : pointedAt(line, action.variant);
}

function member(condition: MemberCondition, what: string): Fault {
  return (world, strike) => {
    const { etcd } = world.cluster;
    const name = pointedAt(etcd.memberNames, strike.action.target);
    if (name === null || etcd.member(name).condition !== 'up') return null;
    etcd.setCondition(name, condition);
    world.during(lengthMs(strike, 50, 6_000), () => etcd.setCondition(name, 'up'));
    return what;
  };
}

const quorum: Fault = (world, strike) => {
  const { etcd } = world.cluster;
  const conditions: MemberCondition[] = ['down', 'silent', 'cut-off'];
  const condition = pointedAt(conditions, strike.action.variant) ?? 'down';
  const names = etcd.memberNames.slice(strike.action.target < 0.5 ? 0 : 1);
  for (const name of names) etcd.setCondition(name, condition);
  world.during(lengthMs(strike, 100, 1.5 * world.ttlMs), () => {
    for (const name of names) etcd.setCondition(name, 'up');
  });
  return 'etcd without quorum';
};

const changeLeader: Fault = (world) => {
  world.cluster.etcd.changeLeader();
  return 'etcd leader change with lease extension';
};

/** The call that is about to be made at the spot if one is, else the next one of somebody. */
function call(world: StormWorld, strike: Strike): CallFilter {
  const place = struck(world.resourceManagers, strike);
  const methods = ['transact', 'transact', 'transact', 'keepAlive', 'grantLease', 'range'] as const;
  const isTransaction = strike.at !== null && ['confirm', 'deposition', 'challenge'].includes(strike.at.spot);
  const method = isTransaction ? 'transact' : (pointedAt(methods, strike.action.variant) ?? 'transact');
  return place === null ? { method } : { method, client: place.running.process.name };
}

const holdBack: Fault = (world, strike) => {
  // The first copies of a call, so that the one that is sent again does not hide it.
  const filter: CallFilter = { ...call(world, strike), method: 'transact' };
  const held = [1, 2]
    .slice(0, strike.action.target < 0.5 ? 1 : 2)
    .map(() => world.cluster.etcd.holdBack(filter));
  world.during(lengthMs(strike, 100, 6_000), () => {
    for (const each of held) each.commit();
  });
  return 'transaction held back, committed later';
};

const loseAnswer: Fault = (world, strike) => {
  const filter = call(world, strike);
  const copies = 1 + Math.floor(4 * strike.action.duration);
  for (let copy = 0; copy < copies; copy++) world.cluster.etcd.loseAnswer(filter);
  return filter.method === 'transact' ? 'transaction committed and timed out' : 'lost answer of etcd';
};

const loseCall: Fault = (world, strike) => {
  const filter = call(world, strike);
  const copies = 1 + Math.floor(4 * strike.action.duration);
  for (let copy = 0; copy < copies; copy++) world.cluster.etcd.loseCall(filter);
  return 'lost call to etcd';
};

const lateCall: Fault = (world, strike) => {
  world.cluster.etcd.delayCall(lengthMs(strike, 20, 3_000), call(world, strike));
  return 'late call to etcd';
};

const blockEtcd: Fault = (world, strike) => {
  const place = struck(world.resourceManagers, strike);
  if (place === null) return null;
  const { etcd, clock } = world.cluster;
  const client = place.running.process.name;
  const { variant } = strike.action;
  const name = variant < 0.3 ? (pointedAt(etcd.memberNames, variant / 0.3) ?? undefined) : undefined;
  etcd.block(client, name);
  let over = false;
  if (variant > 0.8) {
    const flap = (blocks: boolean): void => {
      if (over) return;
      if (blocks) etcd.block(client);
      else etcd.unblock(client);
      clock.schedule(20 + 900 * world.randomness.fraction(), () => flap(!blocks));
    };
    clock.schedule(100, () => flap(false));
  }
  world.during(lengthMs(strike, 50, 1.5 * world.ttlMs), () => {
    over = true;
    etcd.unblock(client);
  });
  return variant > 0.8
    ? 'partition RM-etcd, flapping'
    : name === undefined
      ? 'partition RM-etcd'
      : 'partition RM-etcd, one member';
};

function revoke(what: string): Fault {
  return (world, strike) => {
    const found = candidate(world, strike);
    if (found === null || found.lease === 0n) return null;
    world.allowOverlap({ epoch: found.createRevision });
    world.cluster.etcd.revokeLease(found.lease);
    return what;
  };
}

const deleteKey: Fault = (world, strike) => {
  const found = candidate(world, strike);
  if (found === null) return null;
  world.allowOverlap({ epoch: found.createRevision });
  world.cluster.etcd.deleteKey(found.key);
  return 'key deleted by an operator';
};

/** Keys that somebody puts who has no business there. */
const FOREIGN_KEYS = [
  `${KEYS.election}0`,
  `${KEYS.taskExecutors}stranger`,
  `${KEYS.jobMasters}stranger`,
  `${KEYS.root}stranger`,
];

/** The same, for those who judge writes. */
export const STRANGERS: ReadonlySet<string> = new Set(FOREIGN_KEYS);

const foreignKey: Fault = (world, strike) => {
  const { etcd } = world.cluster;
  const key = strike.action.variant < 0.5 ? FOREIGN_KEYS[0] : pointedAt(FOREIGN_KEYS, strike.action.target);
  if (key === undefined || key === null || etcd.state.noSpace) return null;
  etcd.putKey(key, 'nobody');
  world.during(lengthMs(strike, 500, 20_000), () => etcd.deleteKey(key));
  return 'foreign key under the prefix';
};

const loseWatches: Fault = (world, strike) => {
  const { etcd } = world.cluster;
  const place = strike.action.variant < 0.5 ? struck(world.resourceManagers, strike) : null;
  const compacts = strike.action.target < 0.5;
  if (compacts) etcd.compact();
  etcd.dropWatches(place?.running.process.name);
  return compacts ? 'watch lost and compacted' : 'watch lost';
};

const lateWatches: Fault = (world, strike) => {
  const { etcd } = world.cluster;
  const client =
    strike.action.variant < 0.6 ? struck(world.resourceManagers, strike)?.running.process.name : undefined;
  etcd.delayWatches(50 + 2_000 * strike.action.target, client);
  world.during(lengthMs(strike, 200, 6_000), () => etcd.delayWatches(0, client));
  return 'watch late';
};

const repeatWatches: Fault = (world, strike) => {
  for (const { running } of world.resourceManagers)
    running.process.repeatedEvents += 1 + Math.floor(5 * strike.action.duration);
  return 'watch repeated';
};

const expireTokens: Fault = (world, strike) => {
  const all = strike.action.variant < 0.5;
  const one = struck(world.resourceManagers, strike);
  const places = all || one === null ? world.resourceManagers : [one];
  for (const { running } of places) world.cluster.etcd.expireToken(running.process.name);
  return 'auth token expired';
};

const noSpace: Fault = (world, strike) => {
  const { etcd } = world.cluster;
  if (etcd.state.noSpace) return null;
  etcd.setFull(true);
  world.during(lengthMs(strike, 100, 6_000), () => etcd.setFull(false));
  return 'NOSPACE';
};

/** Faults of etcd and of the way to it. */
export const ETCD_FAULTS: Readonly<Record<string, Fault>> = {
  'etcd-down': member('down', 'etcd member down'),
  'etcd-silent': member('silent', 'etcd member silent'),
  'etcd-stale': member('cut-off', 'stale etcd member that answers'),
  'etcd-quorum': quorum,
  'etcd-leader': changeLeader,
  'hold-back': holdBack,
  'lose-answer': loseAnswer,
  'lose-call': loseCall,
  'late-call': lateCall,
  'partition-rm-etcd': blockEtcd,
  'premature-expiry': revoke('premature lease expiry'),
  'operator-revoke': revoke('lease revoked by an operator'),
  'operator-delete': deleteKey,
  'foreign-key': foreignKey,
  'watch-lost': loseWatches,
  'watch-late': lateWatches,
  'watch-repeated': repeatWatches,
  'token-expired': expireTokens,
  'no-space': noSpace,
};

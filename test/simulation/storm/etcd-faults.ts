import type { KeyValue } from '../../../src/ha/coordination-store.ts';
import { ClusterKeys } from '../../../src/ha/keys.ts';
import { CLUSTER } from '../simulated-cluster.ts';
import type { CallFilter } from '../simulated-etcd.ts';
import type { MemberCondition, Way } from '../simulated-member.ts';
import { counting, type Fault, lengthMs, pointedAt, type Strike, struck } from './fault-kind.ts';
import type { StormWorld } from './storm-world.ts';

const KEYS = new ClusterKeys(CLUSTER);

/** etcd's own timeout of a request that its leader has not answered. */
const HUNG_MS = 5_000;

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
  const end = (): void => {
    for (const name of names) etcd.setCondition(name, 'up');
  };
  world.during(lengthMs(strike, 100, 1.5 * world.ttlMs), end, 'no quorum');
  return 'etcd without quorum';
};

/** At best nobody notices; as a rule nothing is written for a while, and a follower may hold what it was sent for seconds. */
const changeLeader: Fault = (world, strike) => {
  const { etcd } = world.cluster;
  etcd.changeLeader();
  const { variant, target } = strike.action;
  const electing = etcd.memberNames.filter((name) => etcd.member(name).condition === 'up');
  if (variant < 0.3 || electing.length === 0) return 'etcd leader change with lease extension';
  const follower = pointedAt(electing, target) ?? undefined;
  if (variant > 0.65 && follower !== undefined) {
    const onStruck = counting(world, 'transaction that hung at a follower');
    etcd.delayCall(HUNG_MS, { member: follower, method: 'transact', onStruck });
  }
  for (const name of electing) etcd.setCondition(name, 'silent');
  world.during(lengthMs(strike, 200, 2_000), () => {
    for (const name of electing) etcd.setCondition(name, 'up');
  });
  return 'etcd leader change without writes for a while';
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
  const onStruck = counting(world, 'transaction held back, committed later');
  const filter: CallFilter = { ...call(world, strike), method: 'transact' };
  const held = [1, 2]
    .slice(0, strike.action.target < 0.5 ? 1 : 2)
    .map(() => world.cluster.etcd.holdBack(filter));
  world.during(lengthMs(strike, 100, 6_000), () => {
    for (const each of held) {
      if (each.arrived) onStruck();
      each.commit();
    }
  });
  return { laid: 'transaction held back' };
};

const loseAnswer: Fault = (world, strike) => {
  const filter = call(world, strike);
  const copies = 1 + Math.floor(4 * strike.action.duration);
  const onWrote = counting(world, 'transaction committed and timed out');
  const onStruck = counting(world, 'lost answer of etcd');
  for (let copy = 0; copy < copies; copy++) world.cluster.etcd.loseAnswer({ ...filter, onStruck }, onWrote);
  return { laid: 'lost answer of etcd' };
};

const loseCall: Fault = (world, strike) => {
  const filter = call(world, strike);
  const copies = 1 + Math.floor(4 * strike.action.duration);
  const onStruck = counting(world, 'lost call to etcd');
  for (let copy = 0; copy < copies; copy++) world.cluster.etcd.loseCall({ ...filter, onStruck });
  return { laid: 'lost call to etcd' };
};

const lateCall: Fault = (world, strike) => {
  const onStruck = counting(world, 'late call to etcd');
  world.cluster.etcd.delayCall(lengthMs(strike, 20, 3_000), { ...call(world, strike), onStruck });
  return { laid: 'late call to etcd' };
};

const blockEtcd: Fault = (world, strike) => {
  const place = struck(world.resourceManagers, strike);
  if (place === null) return null;
  const { etcd, clock } = world.cluster;
  const client = place.running.process.name;
  const { variant } = strike.action;
  const name = variant < 0.3 ? (pointedAt(etcd.memberNames, variant / 0.3) ?? undefined) : undefined;
  const isOneWay = name === undefined && strike.action.target < 0.5 && variant <= 0.8;
  const ways: readonly Way[] = isOneWay ? [variant < 0.55 ? 'calls' : 'answers'] : ['calls', 'answers'];
  etcd.block(client, name, ways);
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
  const end = (): void => {
    over = true;
    etcd.unblock(client);
  };
  world.during(lengthMs(strike, 50, 1.5 * world.ttlMs), end, 'partition');
  if (isOneWay) return `partition RM-etcd, ${ways.join()} lost`;
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
    world.repeat(running.process, 'events', 1 + Math.floor(5 * strike.action.duration));
  return { laid: 'watch repeated' };
};

const expireTokens: Fault = (world, strike) => {
  const all = strike.action.variant < 0.5;
  const one = struck(world.resourceManagers, strike);
  const places = all || one === null ? world.resourceManagers : [one];
  const onStruck = counting(world, 'auth token expired');
  for (const { running } of places) world.cluster.etcd.expireToken(running.process.name, onStruck);
  return { laid: 'auth token expired' };
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
  'etcd-stale': member('cut-off', 'etcd member cut off from the quorum'),
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

import { counting, type Fault, lengthMs, pointedAt, type Strike } from './fault-kind.ts';
import type { Place, StormWorld } from './storm-world.ts';

type Some = (world: StormWorld) => Place<unknown>[];

const RM: Some = (world) => world.resourceManagers;
const TE: Some = (world) => world.taskExecutors;
const JM: Some = (world) => world.jobMasters;

/** Two that are linked, at the spot if one of them is there. */
function pair(
  world: StormWorld,
  { action, at }: Strike,
  some: Some,
  others: Some,
): [Place<unknown>, Place<unknown>] | null {
  const byName = (all: Place<unknown>[], name: string | null): Place<unknown> | null =>
    all.find((place) => place.name === name) ?? null;
  const [all, rest] = [some(world), others(world)];
  const here = at === null ? null : (byName(all, at.by) ?? byName(all, at.peer));
  const there = at === null ? null : (byName(rest, at.peer) ?? byName(rest, at.by));
  const one = here ?? pointedAt(all, action.target);
  const other =
    there !== null && there !== one
      ? there
      : pointedAt(
          rest.filter((place) => place !== one),
          action.variant,
        );
  return one === null || other === null ? null : [one, other];
}

/** Cuts links for a while, both ways, one way or over and over. */
function cut(
  world: StormWorld,
  strike: Strike,
  links: readonly (readonly [string, string])[],
  ms: number,
): string {
  const { variant } = strike.action;
  const way = variant < 0.5 ? 'both ways' : variant < 0.8 ? 'one way' : 'flapping';
  const each = (action: 'cut' | 'mend'): void => {
    for (const [from, to] of links) {
      world.cluster.links[action](from, to);
      if (way !== 'one way') world.cluster.links[action](to, from);
    }
  };
  each('cut');
  let over = false;
  if (way === 'flapping') {
    const flap = (action: 'cut' | 'mend'): void => {
      if (over) return;
      each(action);
      const nextMs = 20 + 900 * world.randomness.fraction();
      world.cluster.clock.schedule(nextMs, () => flap(action === 'cut' ? 'mend' : 'cut'));
    };
    world.cluster.clock.schedule(100, () => flap('mend'));
  }
  const end = (): void => {
    over = true;
    each('mend');
  };
  world.during(ms, end, 'partition');
  return way;
}

function partition(what: string, some: Some, others: Some, betweenWorkers = false): Fault {
  return (world, strike) => {
    const two = pair(world, strike, some, others);
    if (two === null) return null;
    const [{ name: from, running: near }, { name: to, running: far }] = two;
    const ms = lengthMs(strike, 50, 9_000);
    if (betweenWorkers) world.strikeLink(ms, from, to);
    const links = [
      strike.action.target < 0.5
        ? ([near.address, far.address] as const)
        : ([far.address, near.address] as const),
    ];
    return `partition ${what}, ${cut(world, strike, links, ms)}`;
  };
}

/** A task executor and some job masters reach each other, but no resource manager. */
const rack: Fault = (world, strike) => {
  const inside = world.workers.filter(
    (_, index) => (index * 7 + Math.floor(strike.action.target * 10)) % 3 !== 0,
  );
  const links = inside.flatMap(({ running }) =>
    world.resourceManagers.map((manager) => [running.address, manager.running.address] as const),
  );
  return `partition rack, ${cut(world, strike, links, lengthMs(strike, 500, 12_000))}`;
};

/** Everything to and from one process is lost, without a word. */
const blackHole: Fault = (world, strike) => {
  const place = pointedAt(
    strike.action.target < 0.6 ? world.resourceManagers : world.everybody,
    strike.action.variant,
  );
  if (place === null) return null;
  const { links, etcd } = world.cluster;
  const { name, running } = place;
  const ms = lengthMs(strike, 50, 9_000);
  world.strikeWorkers(ms, name);
  const others = world.everybody.filter((other) => other.name !== name).map((other) => other.running.address);
  const each = (action: 'cut' | 'mend'): void => {
    for (const other of others) {
      links[action](running.address, other);
      links[action](other, running.address);
    }
  };
  each('cut');
  etcd.block(running.process.name);
  world.during(ms, () => {
    each('mend');
    etcd.unblock(running.process.name);
  });
  return 'black hole';
};

/** Frames between two come later than all others for a while. */
const delay: Fault = (world, strike) => {
  const two = pair(
    world,
    strike,
    (w) => w.everybody,
    (w) => w.everybody,
  );
  if (two === null) return null;
  const [one, other] = two;
  const ms = lengthMs(strike, 100, 4_000);
  world.strikeLink(ms, one.name, other.name);
  const { links } = world.cluster;
  const [from, to] = [one.running.address, other.running.address];
  links.slow(from, to, 20 + 600 * strike.action.variant);
  world.during(ms, () => links.slow(from, to, 0));
  return 'delay';
};

const lose: Fault = (world, strike) => {
  const two = pair(
    world,
    strike,
    (w) => w.everybody,
    (w) => w.everybody,
  );
  if (two === null) return null;
  const [from, to] = [two[0].running.address, two[1].running.address];
  world.cluster.links.stallNext(from, to, counting(world, 'loss'));
  return { laid: 'loss' };
};

const breakConnection: Fault = (world, strike) => {
  const two = pair(
    world,
    strike,
    (w) => w.everybody,
    (w) => w.everybody,
  );
  if (two === null) return null;
  const [from, to] = [two[0].running.address, two[1].running.address];
  world.cluster.links.breakNext(from, to, counting(world, 'broken connection'));
  return { laid: 'broken connection' };
};

/** Its connections to other resource managers break and nobody seems to listen there, but it lives. */
const falseProof: Fault = (world, strike) => {
  const place =
    world.resourceManagers.find(({ running }) => running.endpoint.state === 'serving') ??
    pointedAt(world.resourceManagers, strike.action.target);
  if (place === null || !place.running.process.alive) return null;
  const { links } = world.cluster;
  const { address } = place.running;
  const ms = lengthMs(strike, 100, 3_000);
  links.refuse(address, true);
  for (const { running } of world.resourceManagers) links.breakNext(running.address, address);
  world.falselyProven.add(address);
  world.during(ms, () => links.refuse(address, false));
  return 'false proof of death';
};

/** As from a sender that does not know whether it has sent them: late, below what was commanded since. */
const repeatCommands: Fault = (world, strike) => {
  const place =
    world.resourceManagers.find(({ running }) => running.endpoint.state === 'serving') ??
    pointedAt(world.resourceManagers, strike.action.target);
  if (place === null) return null;
  const { process } = place.running;
  process.repeatedAfterMs = lengthMs(strike, 0, 2_000);
  world.repeat(process, 'commands', 1 + Math.floor(4 * strike.action.variant));
  return { laid: 'commands sent twice' };
};

/** Faults of the network that leave workers' work alone. */
export const NETWORK_FAULTS: Readonly<Record<string, Fault>> = {
  'partition-rm-rm': partition('RM-RM', RM, RM),
  'partition-rm-te': partition('RM-TE', RM, TE),
  'partition-rm-jm': partition('RM-JM', RM, JM),
  'partition-rack': rack,
  'false-proof': falseProof,
  'repeat-commands': repeatCommands,
};

/** Those that strike the links between workers, too. */
export const WORKER_NETWORK_FAULTS: Readonly<Record<string, Fault>> = {
  'partition-te-jm': partition('TE-JM', TE, JM, true),
  'black-hole': blackHole,
  delay,
  loss: lose,
  break: breakConnection,
};

import { type Fault, lengthMs, pointedAt, type Strike, struck } from './fault-kind.ts';
import type { Place, StormWorld } from './storm-world.ts';

/** Down for so long at most. */
const DOWN_MS = 8_000;

const crashResourceManager: Fault = (world, strike) => {
  const place = struck(world.resourceManagers, strike);
  if (place === null || !place.running.process.alive) return null;
  const { name } = place;
  const { variant } = strike.action;
  world.cluster.crash(place.running);
  const id = variant > 0.7 && variant < 0.85 ? world.newName('rm') : undefined;
  world.during(lengthMs(strike, 5, DOWN_MS), () => {
    // It may be gone for good by now.
    if (world.cluster.resourceManagers.has(name)) world.startResourceManager(name, id);
  });
  return id === undefined ? 'RM crash, same id' : 'RM crash, new id';
};

/** Back soon, so that there is somebody to lead next. */
const crashLeader: Fault = (world, strike) => {
  const leader = world.resourceManagers.find(({ running }) => running.endpoint.state === 'serving');
  if (leader === undefined) return null;
  const { name } = leader;
  world.cluster.crash(leader.running);
  world.during(lengthMs(strike, 5, 1_000), () => {
    if (world.cluster.resourceManagers.has(name)) world.startResourceManager(name);
  });
  return 'RM crash, same id';
};

const secondResourceManager: Fault = (world, strike) => {
  const place = struck(world.resourceManagers, strike);
  if (place === null || place.name.endsWith('.b')) return null;
  const name = `${place.name}.b`;
  if (world.cluster.resourceManagers.get(name)?.process.alive === true) return null;
  world.startResourceManager(name, world.resourceManagerIdAt(place.name));
  world.during(lengthMs(strike, 500, 6_000), () => end(world, name));
  return 'two RMs of one id';
};

/** It is gone for good. */
function end(world: StormWorld, name: string): void {
  const running = world.cluster.resourceManagers.get(name);
  if (running === undefined) return;
  world.cluster.crash(running);
  world.cluster.resourceManagers.delete(name);
}

const wrongAddress: Fault = (world, strike) => {
  const name = world.newName('rm');
  const advertised =
    strike.action.variant < 0.6 ? pointedAt(world.resourceManagers, strike.action.target) : null;
  world.startResourceManager(name, name, advertised?.running.address ?? 'nowhere:1');
  world.during(lengthMs(strike, 500, 6_000), () => end(world, name));
  return 'wrong advertised address';
};

const crashTaskExecutor: Fault = (world, strike) => {
  const place = struck(world.taskExecutors, strike);
  if (place === null || !place.running.process.alive) return null;
  const { name } = place;
  const { variant, target } = strike.action;
  const ms = lengthMs(strike, 5, DOWN_MS);
  world.strikeWorkers(ms, name);
  world.cluster.crash(place.running);
  const way = variant < 0.45 ? 'same id' : variant < 0.7 ? 'state lost' : 'new id';
  if (way === 'state lost') world.loseState(name);
  const resourceId = way === 'new id' ? world.newName('te') : undefined;
  const slots = way === 'same id' && target < 0.2 ? 1 : undefined;
  const elsewhere = variant < 0.2 ? `${name}:2` : undefined;
  world.during(ms, () => {
    // Another process of its id may have put it out for good.
    if (!world.cluster.taskExecutors.has(name)) return;
    if (resourceId !== undefined) world.loseState(name);
    world.startTaskExecutor(name, resourceId, slots, elsewhere);
  });
  return elsewhere === undefined ? `TE crash, ${way}` : 'TE crash, same id at another address';
};

const secondTaskExecutor: Fault = (world, strike) => {
  const place = struck(world.taskExecutors, strike);
  if (place === null || !place.running.process.alive || place.name.endsWith('.b')) return null;
  const name = `${place.name}.b`;
  if (world.cluster.taskExecutors.get(name)?.process.alive === true) return null;
  const resourceId = world.resourceIdAt(place.name);
  world.strikeWorkers(Infinity, name, place.name);
  world.struck.doubled.add(resourceId);
  world.nameTaskExecutor(name, resourceId);
  world.startTaskExecutor(name);
  return 'two TEs of one id';
};

const crashJobMaster: Fault = (world, strike) => {
  const place = struck(world.jobMasters, strike);
  if (place === null || !place.running.process.alive) return null;
  const { name } = place;
  const ms = lengthMs(strike, 5, DOWN_MS);
  world.strikeWorkers(ms, name);
  world.cluster.crash(place.running);
  const another = strike.action.variant > 0.7 && strike.action.variant < 0.9;
  world.during(ms, () => {
    const place = world.cluster.jobMasters.get(name);
    // A second process may have been started in its place, or its job be over.
    if (place === undefined || place.process.alive) return;
    if (another) world.endJob(name);
    world.startJobMaster(another ? world.newName('job') : name);
  });
  return another ? 'JM crash, new id' : 'JM crash, same id';
};

const secondJobMaster: Fault = (world, strike) => {
  const place = struck(world.jobMasters, strike);
  if (place === null) return null;
  const name = place.name.endsWith('/b') ? place.name.slice(0, -2) : `${place.name}/b`;
  const other = world.cluster.jobMasters.get(name);
  if (other?.process.alive === true && other.endpoint.job?.signal.aborted !== true) return null;
  if (other?.process.alive === true) world.cluster.crash(other);
  world.strikeWorkers(Infinity, name, place.name);
  world.startJobMaster(name);
  return 'two JMs of one job';
};

/** Stops it, in the middle of a turn if it strikes there. */
function stop(world: StormWorld, place: Place<unknown> | null, ms: number, how: 'stop' | 'suspend'): boolean {
  if (place === null || !place.running.process.running) return false;
  const { process } = place.running;
  world.strikeWorkers(ms, place.name);
  process[how]();
  world.during(ms, () => process.resume(), how === 'stop' ? 'pause' : 'machine suspend');
  return true;
}

const pause: Fault = (world, strike) =>
  stop(world, struck(world.everybody, strike), lengthMs(strike, 0, 3 * world.ttlMs), 'stop')
    ? 'pause of 0 to 3 TTL'
    : null;

const pauseLeader: Fault = (world, strike) => {
  const leader = world.resourceManagers.find(({ running }) => running.endpoint.state === 'serving') ?? null;
  return stop(world, leader, lengthMs(strike, 0, 3 * world.ttlMs), 'stop') ? 'pause of 0 to 3 TTL' : null;
};

/** As a loop that one turn holds up: what follows in that turn comes late, and everything after it. */
const blockedLoop: Fault = (world, strike) =>
  stop(world, struck(world.everybody, strike), lengthMs(strike, 50, 2_000), 'stop') ? 'blocked loop' : null;

const suspend: Fault = (world, strike) =>
  stop(world, struck(world.everybody, strike), lengthMs(strike, 300, 3 * world.ttlMs), 'suspend')
    ? 'machine suspend'
    : null;

/** Runs for moments only, for a while. */
const slow: Fault = (world, strike) => {
  const place = struck(world.everybody, strike);
  if (place === null || !place.running.process.running) return null;
  const { process } = place.running;
  const ms = lengthMs(strike, 500, 5_000);
  world.strikeWorkers(ms, place.name);
  let over = false;
  const hiccup = (): void => {
    if (over || !process.running) return;
    process.stop();
    world.cluster.clock.schedule(20 + 180 * strike.action.target, () => {
      process.resume();
      world.cluster.clock.schedule(1 + 20 * strike.action.duration, hiccup);
    });
  };
  hiccup();
  world.during(ms, () => {
    over = true;
    process.resume();
  });
  return 'slow process';
};

const wallJump: Fault = (world, strike) => {
  const place = struck(world.everybody, strike);
  if (place === null) return null;
  // A leap forward is taken for a sleep, which costs leases.
  world.strikeWorkers(0, place.name);
  place.running.process.jumpWall((strike.action.duration - 0.6) * 60_000);
  return 'wall clock jump';
};

const stepDown: Fault = (world, strike) => {
  const leader = world.resourceManagers.find(({ running }) => running.endpoint.state === 'serving');
  if (leader === undefined) return null;
  const others = world.resourceManagers.filter((place) => place !== leader);
  const to = strike.action.variant < 0.5 ? pointedAt(others, strike.action.target) : null;
  const { process, endpoint } = leader.running;
  process.run(() => {
    const id = to?.running.endpoint.view.status().resourceManagerId ?? null;
    endpoint.view.stepDown({ to: id, reason: 'simulated' }).catch(() => {});
  });
  return 'step-down';
};

function only(fault: Fault, some: (world: StormWorld) => Place<unknown>[]): Fault {
  return (world, strike: Strike) => {
    const names = new Set(some(world).map(({ name }) => name));
    const at = strike.at !== null && names.has(strike.at.by ?? '') ? strike.at : null;
    const place = pointedAt(some(world), strike.action.target);
    const spot = strike.action.spot ?? 'confirm';
    return fault(world, { ...strike, at: at ?? { spot, by: place?.name ?? null, peer: null } });
  };
}

const resourceManagers = (world: StormWorld): Place<unknown>[] => world.resourceManagers;

/** Faults of resource managers. */
export const RESOURCE_MANAGER_FAULTS: Readonly<Record<string, Fault>> = {
  'crash-rm': crashResourceManager,
  'crash-leader': crashLeader,
  'second-rm': secondResourceManager,
  'wrong-address': wrongAddress,
  'pause-leader': pauseLeader,
  'pause-rm': only(pause, resourceManagers),
  'block-rm': only(blockedLoop, resourceManagers),
  'suspend-rm': only(suspend, resourceManagers),
  'slow-rm': only(slow, resourceManagers),
  'wall-jump-rm': only(wallJump, resourceManagers),
  'step-down': stepDown,
};

/** Faults of task executors and job masters. */
export const WORKER_FAULTS: Readonly<Record<string, Fault>> = {
  'crash-te': crashTaskExecutor,
  'second-te': secondTaskExecutor,
  'crash-jm': crashJobMaster,
  'second-jm': secondJobMaster,
  pause,
  'blocked-loop': blockedLoop,
  suspend,
  slow,
  'wall-jump': wallJump,
};

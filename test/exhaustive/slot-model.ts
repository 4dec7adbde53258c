import type { InstanceId } from '../../src/core/ids.ts';
import type { Model, Step } from './explore.ts';
import {
  askForSlots,
  connectionBroke,
  giveBack,
  type JobMasterProcess,
  jobMasterTakes,
  jobMasterWakes,
  startJobMaster,
} from './job-master-process.ts';
import { type LeaderProcess, leaderLoses, leaderTakes, startLeader } from './leader-process.ts';
import type { Turn } from './processes.ts';
import { SlotEngine } from './slot-engine.ts';
import { type SlotMachines } from './slot-machines.ts';
import type { SlotMessage } from './slot-messages.ts';
import { passTime, STEP_MS } from './slot-time.ts';
import { slotViolation } from './slot-properties.ts';
import {
  byWire,
  FAULTS,
  isCut,
  parseItem,
  type SlotBounds,
  type SlotProcess,
  type SlotWorld,
  use,
} from './slot-world.ts';
import {
  peerOf,
  startTaskExecutor,
  type TaskExecutorProcess,
  taskExecutorTakes,
} from './task-executor-process.ts';

const START_MS = 1_000;
/** A fair run that has not come right after this many steps of time never will. */
const FAIR_STEPS = 40;

/** Two leaders of one cluster, one after the other, its task executors and two job masters. */
export class SlotModel implements Model<SlotWorld> {
  readonly #machines: SlotMachines;
  readonly #bounds: SlotBounds;
  readonly #engine: SlotEngine;
  readonly #fair = new Map<string, string | null>();
  readonly #checked = new Map<string, string | null>();

  constructor(machines: SlotMachines, bounds: SlotBounds) {
    this.#machines = machines;
    this.#bounds = bounds;
    this.#engine = new SlotEngine(machines, bounds);
  }

  /** The first leader leads, all workers are registered, and every job has just asked for its slots. */
  initial(): SlotWorld {
    const { taskExecutors, slotsEach, wanted } = this.#bounds;
    const out: Turn<SlotMessage> = { sent: [], notes: [] };
    const te = Array.from({ length: taskExecutors }, (_, index) =>
      this.#engine.processes.add(startTaskExecutor(this.#machines, index, slotsEach, START_MS, null, out)),
    );
    const jm = wanted.map((count, index) =>
      this.#engine.processes.add(startJobMaster(this.#machines, index, count)),
    );
    const announced: Turn<SlotMessage> = { sent: [], notes: [] };
    const leader = startLeader(this.#machines, 1, START_MS, this.#engine.workers(), announced);
    const left = Object.fromEntries(FAULTS.map((fault) => [fault, this.#bounds[fault]]));
    let world: SlotWorld = {
      nowMs: START_MS,
      processes: [...te, ...jm, this.#engine.processes.add(leader), null],
      wires: [],
      late: [],
      paused: new Map(),
      cut: [],
      left: left as SlotWorld['left'],
    };
    const sent = announced.sent.map(({ to, message }) => ({
      to,
      message: this.#engine.processes.addMessage(message),
    }));
    world = this.#settle(this.#engine.send(world, 'rm1', sent));
    for (const [index] of wanted.entries()) {
      world = this.#engine.act(world, `jm${index}`, 'ask', (process, turn) =>
        askForSlots(process as JobMasterProcess, START_MS, turn),
      ).world;
    }
    return world;
  }

  key(world: SlotWorld): string {
    // Where the order between connections does not count, it is no part of the state.
    const wires = this.#bounds.order === 'sent' ? world.wires : byWire(world.wires);
    const paused = [...world.paused].map(([name, missed]) => `${name}${missed}`).sort();
    const left = FAULTS.map((fault) => world.left[fault]).join('.');
    return `${world.processes.join(',')}|${wires.join(' ')}|${world.late.join(' ')}|${paused.join()}|${world.cut.join()}|${left}`;
  }

  *steps(world: SlotWorld): Generator<Step<SlotWorld>> {
    for (const at of this.#arriving(world)) {
      const item = world.wires[at] ?? '';
      const { wire, message } = parseItem(item);
      const rest = { ...world, wires: world.wires.filter((_, index) => index !== at) };
      const label = `${wire} ${this.#engine.describe(message)}`;
      yield this.#deliver(rest, wire, message, label);
      if (world.left.losses > 0) yield { label: `${label}: lost`, state: use(rest, 'losses') };
      const late = [...world.late, item].sort();
      if (world.left.delays > 0) {
        yield { label: `${label}: delayed`, state: { ...use(rest, 'delays'), late } };
      }
      if (world.left.doubles > 0) {
        yield { label: `${label}: will come twice`, state: { ...use(world, 'doubles'), late } };
      }
    }
    for (const [at, item] of world.late.entries()) {
      const { wire, to, message } = parseItem(item);
      if (world.paused.has(to) || world.late.indexOf(item) < at) continue;
      const rest = { ...world, late: world.late.filter((_, index) => index !== at) };
      yield this.#deliver(rest, wire, message, `${wire} ${this.#engine.describe(message)}, late`);
    }
    yield* this.#faults(world);
    if (world.left.timeSteps > 0 && this.#quiet(world))
      yield passTime(this.#engine, world, (state) => this.violation(state));
  }

  violation(world: SlotWorld): string | null {
    // Wires and bounds say nothing of what must hold of the processes.
    const key = `${world.nowMs}|${world.processes.join()}|${[...world.paused.keys()].join()}`;
    const known = this.#checked.get(key);
    if (known !== undefined) return known;
    const found = slotViolation(this.#engine.running(world), world.nowMs);
    this.#checked.set(key, found);
    return found;
  }

  /** Nothing is lost any more, everybody runs, and time goes on: every wish that can be fulfilled is. */
  unfinished(world: SlotWorld): string | null {
    let state: SlotWorld = { ...world, cut: [] };
    const passed: string[] = [];
    let verdict: string | null = `not right after ${(FAIR_STEPS * STEP_MS) / 1_000} s without any fault`;
    for (let step = 0; step < FAIR_STEPS; step += 1) {
      state = this.#settle(state);
      const key = this.key(state);
      const known = this.#fair.get(key);
      if (known !== undefined) {
        verdict = known;
        break;
      }
      passed.push(key);
      const wrong = this.violation(state);
      if (wrong !== null) {
        verdict = `${wrong} (in a run without faults)`;
        break;
      }
      if (this.#fulfilled(state)) {
        verdict = null;
        break;
      }
      const next = { ...state, left: { ...state.left, timeSteps: 1 } };
      ({ state } = passTime(this.#engine, next, (passing) => this.violation(passing)));
    }
    for (const key of passed) this.#fair.set(key, verdict);
    return verdict;
  }

  *#faults(world: SlotWorld): Generator<Step<SlotWorld>> {
    const { left } = world;
    if (left.changes > 0 && world.processes.at(-1) === null) {
      const turn: Turn<SlotMessage> = { sent: [], notes: [] };
      const leader = startLeader(this.#machines, 2, world.nowMs, this.#engine.workers(), turn);
      const processes = [...world.processes.slice(0, -1), this.#engine.processes.add(leader)];
      const sent = turn.sent.map(({ to, message }) => ({
        to,
        message: this.#engine.processes.addMessage(message),
      }));
      const state = this.#engine.send({ ...use(world, 'changes'), processes }, 'rm2', sent);
      yield { label: 'a second leader is confirmed', state };
    }
    for (const name of this.#engine.workers()) {
      if (name.startsWith('te')) {
        if (left.restarts > 0) yield this.#restart(use(world, 'restarts'), name, true);
        if (left.amnesias > 0) yield this.#restart(use(world, 'amnesias'), name, false);
        continue;
      }
      if (world.paused.has(name)) {
        yield { label: `${name} runs again`, ...this.#resume(world, name) };
        continue;
      }
      if (left.pauses > 0) {
        const paused = new Map([...world.paused, [name, false] as const]);
        yield { label: `${name} is paused`, state: { ...use(world, 'pauses'), paused } };
      }
      if (left.cuts > 0 && !world.cut.includes(name)) {
        const cut = [...world.cut, name].sort();
        const reach = (item: string): boolean => !isCut(cut, parseItem(item).wire);
        const state = {
          ...use(world, 'cuts'),
          cut,
          wires: world.wires.filter(reach),
          late: world.late.filter(reach),
        };
        yield { label: `${name} is cut off from task executors`, state };
      }
      if (left.releases > 0) {
        const { world: state, violation } = this.#engine.act(
          use(world, 'releases'),
          name,
          'give back',
          (process, turn) => giveBack(process as JobMasterProcess, world.nowMs, turn),
        );
        yield { label: `${name}'s user is done with its first slot`, state, violation };
      }
    }
  }

  #deliver(world: SlotWorld, wire: string, message: number, label: string): Step<SlotWorld> {
    const [from = '', to = ''] = wire.split('>');
    const current = world.processes.at(-1) === null ? 'rm1' : 'rm2';
    const holdsKey = to === current;
    const content = this.#engine.processes.message(message);
    const newest = this.#newest(world, from);
    const name = `${from} ${message} ${holdsKey} ${newest}`;
    const { world: state, violation } = this.#engine.act(world, to, name, (process, turn) => {
      if (process.kind === 'te') taskExecutorTakes(process, from, content, world.nowMs, turn);
      else if (process.kind === 'jm') jobMasterTakes(process, content, world.nowMs, turn);
      else leaderTakes(process, from, content, holdsKey, newest, world.nowMs, turn);
    });
    return { label, state, violation };
  }

  /** The instance of that task executor that was registered last, with whichever leader. */
  #newest(world: SlotWorld, name: string): InstanceId | null {
    const known = ['rm1', 'rm2'].flatMap((leader) => {
      if (!this.#engine.isThere(world, leader)) return [];
      return (this.#engine.process(world, leader) as LeaderProcess).instances[name] ?? [];
    });
    return known.sort().at(-1) ?? null;
  }

  /** Its process is another one; connections to the former one are gone, and new ones stand. */
  #restart(world: SlotWorld, name: string, keepsState: boolean): Step<SlotWorld> {
    let state: SlotWorld = {
      ...world,
      wires: world.wires.filter((item) => parseItem(item).to !== name),
      late: world.late.filter((item) => parseItem(item).to !== name),
    };
    const index = Number(name.slice(2));
    const { nowMs } = world;
    let violation: string | null = null;
    const act = (
      who: string,
      what: string,
      take: (process: SlotProcess, turn: Turn<SlotMessage>) => void,
    ): void => {
      const done = this.#engine.act(state, who, what, take);
      state = done.world;
      violation ??= done.violation;
    };
    act(name, `restart ${keepsState}`, (process, turn) => {
      const te = process as TaskExecutorProcess;
      const kept = { state: keepsState ? te.saved : null, incarnation: te.incarnation };
      Object.assign(te, startTaskExecutor(this.#machines, index, this.#bounds.slotsEach, nowMs, kept, turn));
    });
    for (const who of this.#engine.names) {
      if (who.startsWith('rm') && this.#engine.isThere(state, who)) {
        act(who, `lost ${name}`, (process, turn) => {
          leaderLoses(process as LeaderProcess, name, nowMs, turn);
          const { epoch, over } = process as LeaderProcess;
          if (!over) turn.sent.push({ to: name, message: { type: 'announce', epoch } });
        });
      } else if (who.startsWith('jm') && !world.paused.has(who)) {
        act(who, `broke ${name}`, (process, turn) =>
          connectionBroke(process as JobMasterProcess, peerOf(index), nowMs, turn),
        );
      }
    }
    const label = `${name} starts again ${keepsState ? 'with' : 'without'} its state file`;
    return { label, state, violation };
  }

  #resume(world: SlotWorld, name: string): { state: SlotWorld; violation: string | null } {
    const missed = world.paused.get(name) === true;
    const paused = new Map([...world.paused].filter(([who]) => who !== name));
    if (!missed) return { state: { ...world, paused }, violation: null };
    const { world: state, violation } = this.#engine.act(
      { ...world, paused },
      name,
      'wake',
      (process, turn) => jobMasterWakes(process as JobMasterProcess, world.nowMs, turn),
    );
    return { state, violation };
  }

  /** Every message arrives, in a fixed order, and everybody runs. */
  #settle(world: SlotWorld): SlotWorld {
    let state = world;
    for (const name of world.paused.keys()) ({ state } = this.#resume(state, name));
    for (let turns = 0; turns < 10_000; turns += 1) {
      const [late, ...later] = state.late;
      const [first, ...rest] = state.wires;
      const item = late ?? first;
      if (item === undefined) return state;
      const { wire, message } = parseItem(item);
      const before = late === undefined ? { ...state, wires: rest } : { ...state, late: later };
      ({ state } = this.#deliver(before, wire, message, ''));
    }
    throw new Error('messages without end');
  }

  #fulfilled(world: SlotWorld): boolean {
    const slots = this.#bounds.taskExecutors * this.#bounds.slotsEach;
    let wanted = 0;
    let held = 0;
    for (const { process } of this.#engine.running(world)) {
      if (process.kind !== 'jm') continue;
      const inHand = process.allocationIds.filter((id) => process.pool.isInHand(id, world.nowMs));
      held += inHand.length;
      wanted += inHand.length + process.pool.unfinished().length;
    }
    const leader = this.#engine.process(
      world,
      world.processes.at(-1) === null ? 'rm1' : 'rm2',
    ) as LeaderProcess;
    const { free, allocated } = leader.manager.slotCounts();
    return held === Math.min(slots, wanted) && allocated === held && free === slots - held;
  }

  #quiet(world: SlotWorld): boolean {
    return world.wires.every((item) => world.paused.has(parseItem(item).to));
  }

  /** Where the messages stand that may be the next to arrive. */
  #arriving(world: SlotWorld): number[] {
    const seen = new Set<string>();
    const arriving: number[] = [];
    for (const [at, item] of world.wires.entries()) {
      const { wire, to } = parseItem(item);
      if (world.paused.has(to) || seen.has(wire)) continue;
      seen.add(wire);
      arriving.push(at);
      if (this.#bounds.order === 'sent') break;
    }
    return arriving;
  }
}

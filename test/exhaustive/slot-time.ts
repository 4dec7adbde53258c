import type { Step } from './explore.ts';
import { callsTimeOut, type JobMasterProcess, jobMasterTicks } from './job-master-process.ts';
import { leaderCallsTimeOut, leaderTicks } from './leader-process.ts';
import type { Turn } from './processes.ts';
import type { SlotEngine } from './slot-engine.ts';
import { TIMING } from './slot-machines.ts';
import type { SlotMessage } from './slot-messages.ts';
import { type SlotProcess, type SlotWorld, use } from './slot-world.ts';
import { peerOf, taskExecutorTicks } from './task-executor-process.ts';

/** One step of time. */
export const STEP_MS = TIMING.heartbeatIntervalMs;

/** 5 s go by for everybody; each one who runs looks at the time whenever something is due. */
export function passTime(
  engine: SlotEngine,
  world: SlotWorld,
  violationOf: (world: SlotWorld) => string | null,
): Step<SlotWorld> {
  const endMs = world.nowMs + STEP_MS;
  let state: SlotWorld = {
    ...use(world, 'timeSteps'),
    paused: new Map([...world.paused].map(([name]) => [name, true] as const)),
  };
  let violation: string | null = null;
  const act = (
    name: string,
    what: string,
    atMs: number,
    take: (process: SlotProcess, turn: Turn<SlotMessage>) => void,
  ): void => {
    if (world.paused.has(name) || !engine.isThere(state, name)) return;
    const done = engine.act({ ...state, nowMs: atMs }, name, what, take);
    state = done.world;
    violation ??= done.violation ?? violationOf(state);
  };
  let timeouts = world.nowMs + TIMING.taskExecutorCallMs;
  const looked = new Map<string, number>();
  for (;;) {
    let next: { name: string; dueMs: number } | null = null;
    for (const name of engine.names) {
      if (world.paused.has(name) || !engine.isThere(state, name)) continue;
      const dueMs = Math.max(engine.dueMs(state, name), (looked.get(name) ?? world.nowMs - 1) + 1);
      if (next === null || dueMs < next.dueMs) next = { name, dueMs };
    }
    if (timeouts <= Math.min(endMs, next?.dueMs ?? Infinity)) {
      for (const name of engine.names) timeOut(engine, name, timeouts, act);
      timeouts = Infinity;
      continue;
    }
    if (next === null || next.dueMs > endMs) break;
    const { name, dueMs } = next;
    looked.set(name, dueMs);
    act(name, 'tick', dueMs, (process, turn) => tick(process, dueMs, false, turn));
  }
  for (const name of engine.names) {
    act(name, 'leader calls', endMs, (process, turn) => {
      if (process.kind === 'jm') callsTimeOut(process, null, endMs, turn);
    });
    act(name, 'beat', endMs, (process, turn) => tick(process, endMs, true, turn));
  }
  state = announceAgain(engine, { ...state, nowMs: endMs });
  return { label: `${STEP_MS / 1_000} s pass`, state, violation };
}

function timeOut(
  engine: SlotEngine,
  name: string,
  atMs: number,
  act: (
    name: string,
    what: string,
    atMs: number,
    take: (process: SlotProcess, turn: Turn<SlotMessage>) => void,
  ) => void,
): void {
  for (const [index, worker] of engine.workers().entries()) {
    if (!worker.startsWith('te')) continue;
    act(name, `timeouts ${worker}`, atMs, (process, turn) => {
      if (process.kind === 'rm') leaderCallsTimeOut(process, worker, atMs, turn);
      if (process.kind === 'jm') callsTimeOut(process, peerOf(index), atMs, turn);
    });
  }
}

/** Whoever has not heard of the leader hears of it when its connection is made anew. */
function announceAgain(engine: SlotEngine, world: SlotWorld): SlotWorld {
  const leader = world.processes.at(-1) === null ? 'rm1' : 'rm2';
  const epoch = Number(leader.slice(2));
  let state = world;
  for (const name of engine.workers()) {
    const process = engine.process(world, name);
    const heard = process.kind === 'te' ? process.registration?.epoch : (process as JobMasterProcess).highest;
    if (heard === epoch) continue;
    const message = engine.processes.addMessage({ type: 'announce', epoch });
    state = engine.send(state, leader, [{ to: name, message }]);
  }
  return state;
}

function tick(process: SlotProcess, nowMs: number, beat: boolean, turn: Turn<SlotMessage>): void {
  if (process.kind === 'te') taskExecutorTicks(process, nowMs, beat, turn);
  else if (process.kind === 'jm') jobMasterTicks(process, nowMs, beat, turn);
  else leaderTicks(process, nowMs, turn);
}

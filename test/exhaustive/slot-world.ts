import type { JobMasterProcess } from './job-master-process.ts';
import type { LeaderProcess } from './leader-process.ts';
import type { TaskExecutorProcess } from './task-executor-process.ts';

/** How large the world is, and how often each thing may happen in one run. */
export interface SlotBounds {
  readonly taskExecutors: number;
  readonly slotsEach: number;
  /** Slots that each job master wants. */
  readonly wanted: readonly number[];
  /** A second leader is confirmed, of which the first one knows nothing. */
  readonly changes: number;
  /** Messages that are lost, or overtaken by any others, or come twice. */
  readonly losses: number;
  readonly delays: number;
  readonly doubles: number;
  /** Restarts of a task executor with its state file, and without. */
  readonly restarts: number;
  readonly amnesias: number;
  /** Job masters that stop running for a while. */
  readonly pauses: number;
  /** Job masters that lose touch with every task executor for good. */
  readonly cuts: number;
  /** Job masters that give their first slot back, or withdraw their first request. */
  readonly releases: number;
  /** Steps of 5 s; time passes only when no message is under way but those delayed. */
  readonly timeSteps: number;
  /** Whether messages of different connections arrive in any order, or in the order of their sending but for `delays`. */
  readonly order: 'any' | 'sent';
}

/** What may happen a bounded number of times. */
export type Fault = Exclude<keyof SlotBounds, 'taskExecutors' | 'slotsEach' | 'wanted' | 'order'>;
/** In a fixed order. */
export const FAULTS: readonly Fault[] = [
  'changes',
  'losses',
  'delays',
  'doubles',
  'restarts',
  'amnesias',
  'pauses',
  'cuts',
  'releases',
  'timeSteps',
];

/** One state of one process. */
export type SlotProcess = TaskExecutorProcess | JobMasterProcess | LeaderProcess;

/** One state of the whole. */
export interface SlotWorld {
  readonly nowMs: number;
  /** States of the processes, in the order of the model's names; null for a leader that is not confirmed yet. */
  readonly processes: readonly (number | null)[];
  /** Messages under way, the one sent first in front: `from>to#message`. Between any two processes none overtakes another. */
  readonly wires: readonly string[];
  /** Delayed ones, which may come at any time. */
  readonly late: readonly string[];
  /** Job masters that do not run; true when time has passed meanwhile. */
  readonly paused: ReadonlyMap<string, boolean>;
  /** Job masters that no task executor hears, and that hear none. */
  readonly cut: readonly string[];
  readonly left: Readonly<Record<Fault, number>>;
}

/** A message under way, taken apart. */
export function parseItem(item: string): {
  readonly wire: string;
  readonly to: string;
  readonly message: number;
} {
  const at = item.indexOf('#');
  const wire = item.slice(0, at);
  return { wire, to: wire.slice(wire.indexOf('>') + 1), message: Number(item.slice(at + 1)) };
}

/** Whether nothing comes through there. */
export function isCut(cut: readonly string[], wire: string): boolean {
  const [from = '', to = ''] = wire.split('>');
  return (cut.includes(from) && to.startsWith('te')) || (cut.includes(to) && from.startsWith('te'));
}

/** In the order of their connections; within one of them as they were sent. */
export function byWire(items: readonly string[]): string[] {
  const wireOf = (item: string): string => parseItem(item).wire;
  return [...items].sort((a, b) => (wireOf(a) < wireOf(b) ? -1 : wireOf(a) > wireOf(b) ? 1 : 0));
}

/** The same with one such event fewer left. */
export function use(world: SlotWorld, fault: Fault): SlotWorld {
  return { ...world, left: { ...world.left, [fault]: world.left[fault] - 1 } };
}

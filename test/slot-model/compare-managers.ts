import type { AllocationId, ResourceId } from '../../src/core/ids.ts';
import {
  createSlotManager,
  type SlotManagerOptions,
} from '../../src/core/slotmanager/create-slot-manager.ts';
import type {
  SlotManager,
  SlotManagerEffect,
  SlotManagerEvent,
  SlotView,
} from '../../src/core/slotmanager/slot-manager-events.ts';
import { anySlotMatching, profileMatching } from '../../src/core/slotmanager/slot-matching.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';
import { EventDrawer } from './draw-event.ts';
import { TIMING, TOKEN, takesNoWork } from './naive-books.ts';
import { isWaiting } from './naive-requests.ts';
import { NaiveSlotManager, naiveViews, sayCall } from './naive-slot-manager.ts';

/** Operations of one run. */
export const OPERATIONS_OF_A_RUN = 200;
/** Low enough for the limit to be met. */
const MOST_WAITING = 8;
/** More wake-ups than that at one time are a loop that does not end. */
const MOST_WAKINGS = 2_000;

/** The slot manager did not do what the model does; `index` says in which operation. */
export class ManagerDiffers extends Error {
  readonly index: number;
  /** What was told to both, and what both said. */
  readonly trace: readonly string[];

  constructor(index: number, message: string, trace: readonly string[]) {
    super(message);
    this.index = index;
    this.trace = trace;
  }
}

/** Found by the comparison; whatever else is thrown, is thrown by one of the two. */
class Difference extends Error {}

/** One run as numbers: each operation is drawn from its own, so that others can be left out. */
export interface DrawnRun {
  readonly setting: number;
  readonly operations: readonly number[];
}

export function drawRun(seed: number, run: number, count = OPERATIONS_OF_A_RUN): DrawnRun {
  const random = new SeededRandomness(Math.imul(seed, 0x9e37_79b1) ^ Math.imul(run + 1, 0x85eb_ca6b));
  const draw = (): number => random.between(0, 0xffff_fffe);
  return { setting: draw(), operations: Array.from({ length: count }, draw) };
}

/** How the slot manager under test is made; tests of this comparison plant faults here. */
export type MakeManager = (options: SlotManagerOptions) => SlotManager;

/** Told of each event that both took, and of what was said then. */
export type OnEvent = (event: SlotManagerEvent, said: readonly string[]) => void;

/** Runs the operations on both and throws `ManagerDiffers` at the first difference. */
export function compareManagers(
  { setting, operations }: DrawnRun,
  make: MakeManager = createSlotManager,
  onEvent: OnEvent = () => {},
): void {
  const pair = new Pair(new SeededRandomness(setting), make, onEvent);
  let index = -1;
  try {
    pair.begin();
    for (const [i, operation] of operations.entries()) {
      index = i;
      pair.step(new SeededRandomness(operation));
    }
    index = operations.length;
    pair.end();
  } catch (error) {
    if (error instanceof ManagerDiffers) throw error;
    const what = error instanceof Difference ? error.message : error instanceof Error ? error.stack : null;
    throw new ManagerDiffers(index, what ?? String(error), pair.trace());
  }
}

class Pair {
  readonly #told: { readonly nowMs: number; readonly event: SlotManagerEvent; readonly said: string[] }[] =
    [];
  readonly #manager: SlotManager;
  readonly #naive: NaiveSlotManager;
  readonly #onEvent: OnEvent;
  readonly #random: SeededRandomness;
  #nowMs = 1_000;
  #drawn = 0;

  constructor(random: SeededRandomness, make: MakeManager, onEvent: OnEvent) {
    this.#random = random;
    this.#onEvent = onEvent;
    const anyFits = random.fraction() < 0.1;
    this.#manager = make({
      token: TOKEN,
      timing: TIMING,
      nowMs: this.#nowMs,
      matching: anyFits ? anySlotMatching : profileMatching,
      maxPendingRequests: MOST_WAITING,
    });
    this.#naive = new NaiveSlotManager(this.#nowMs, MOST_WAITING, anyFits);
  }

  trace(): string[] {
    return this.#told.flatMap(({ nowMs, event, said }) => [
      `${nowMs} ${toText(event)}`,
      ...said.map((line) => `  ${line}`),
    ]);
  }

  begin(): void {
    for (const event of this.#drawer(this.#random).expected()) this.#tell(event);
  }

  step(random: SeededRandomness): void {
    const chance = random.fraction();
    if (chance > 0.15) return this.#tell(this.#drawer(random).event());
    if (chance > 0.02) return this.#pass([50, 350, 2_500, 7_000, 20_000, 70_000][random.between(0, 5)] ?? 0);
    // A loop that was busy: much is due at once.
    this.#nowMs += random.between(100, 40_000);
    this.#tell({ type: 'tick' });
  }

  end(): void {
    for (const event of this.#drawer(this.#random).sweep()) this.#tell(event);
  }

  #drawer(random: SeededRandomness): EventDrawer {
    return new EventDrawer(this.#naive.books, random, (this.#drawn += 10));
  }

  #pass(durationMs: number): void {
    const untilMs = this.#nowMs + durationMs;
    for (let wakings = 0; ; wakings++) {
      const dueMs = this.#manager.nextDueMs();
      if (dueMs === null || dueMs > untilMs) break;
      if (wakings > MOST_WAKINGS) throw new Difference(`it wants to be woken again and again at ${dueMs}`);
      this.#nowMs = Math.max(this.#nowMs, dueMs);
      this.#tell({ type: 'tick' });
    }
    this.#nowMs = untilMs;
    this.#tell({ type: 'tick' });
  }

  #tell(event: SlotManagerEvent): void {
    const effects = this.#manager.handle(event, this.#nowMs);
    const calls = effects.filter((effect) => effect.type === 'sendSlotCommands');
    const containers = effects.filter((effect) => effect.type === 'allocateContainer');
    const places = new Map<AllocationId, string>();
    for (const view of this.#manager.slots())
      if (view.allocationId !== null && view.state === 'requested' && !view.beingFreed)
        places.set(view.allocationId, `${view.resourceId}/${view.slotNumber}`);
    const ours = this.#naive.handle(event, this.#nowMs, {
      slotOf: (allocationId) => places.get(allocationId),
      asksForContainer: (allocationId) => containers.some((each) => each.allocationId === allocationId),
      callTo: (resourceId: ResourceId) => calls.find((call) => call.resourceId === resourceId),
    });
    const theirs = effects.flatMap((effect) => say(effect));
    this.#told.push({ nowMs: this.#nowMs, event, said: theirs });
    this.#same('says', theirs.toSorted(), ours.toSorted());
    for (const { number } of calls) {
      if (number.epoch !== TOKEN.epoch || number.n <= this.#naive.workers.highestN)
        throw new Difference(`command number ${number.n} after ${this.#naive.workers.highestN}`);
      this.#naive.workers.highestN = number.n;
    }
    this.#sameBooks();
    this.#onEvent(event, theirs);
  }

  #sameBooks(): void {
    const naive = this.#naive;
    const { books } = naive;
    const views = naiveViews(books);
    this.#same('has the slots', slotLines(this.#manager.slots()), slotLines(views));
    const counts = { total: views.length, free: 0, requested: 0, allocated: 0, quarantined: 0, unknown: 0 };
    for (const { state } of views) counts[state]++;
    this.#same('counts', toText(this.#manager.slotCounts()), toText(counts));
    this.#same('has waiting', this.#manager.pendingRequests(), books.requests.filter(isWaiting).length);
    this.#same('recovers', toText(this.#manager.recovery()), toText(naive.recovery()));
    const workers = books.workers.map((worker) => {
      const { resourceId, instanceId, state, provider, slots, expectedSlots, idleSinceMs } = worker;
      const isRegistered = state === 'registered';
      return {
        resourceId,
        instanceId,
        state,
        draining: takesNoWork(worker),
        provider,
        slots: slots.length + expectedSlots,
        freeSlots: isRegistered ? slots.filter((slot) => slot.state === 'free').length : 0,
        idleSinceMs: isRegistered ? idleSinceMs : null,
      };
    });
    this.#same('has the task executors', lines([...this.#manager.taskExecutors()]), lines(workers));
    const dueMs = naive.nextDueMs();
    if ((this.#manager.nextDueMs() ?? Infinity) > dueMs)
      throw new Difference(
        `it wants to be woken at ${this.#manager.nextDueMs()}, but ${dueMs} is when it must`,
      );
  }

  #same(what: string, theirs: unknown, ours: unknown): void {
    const [a, b] = [toLines(theirs), toLines(ours)];
    if (a.join() === b.join()) return;
    const more = a.filter((line) => count(a, line) > count(b, line));
    const less = b.filter((line) => count(b, line) > count(a, line));
    throw new Difference(`it ${what}\n${more.join('\n')}\nand the model\n${less.join('\n')}`);
  }
}

function say(effect: SlotManagerEffect): string[] {
  switch (effect.type) {
    case 'acknowledgeSlotRequests': {
      const results = effect.results.map((each) => `${each.allocationId} ${each.problem?.code ?? 'taken'}`);
      return [`answer ${effect.answerKey}: ${results.join(', ')}`];
    }
    case 'answerHeartbeat':
      return [`heartbeat ${effect.answerKey}: ${effect.unknown.join(', ')}`];
    case 'sendSlotCommands':
      return [sayCall(effect.resourceId, effect.instanceId, effect.commands)];
    case 'notifySlotsAllocated':
      return effect.grants.map(
        ({ allocationId, slotId, instanceId, address, grantNumber, profile }) =>
          `grant to ${effect.jobId} ${effect.jobMasterId}: ${allocationId} has ${slotId.resourceId}/${slotId.slotNumber} at ${address} of ${instanceId} under ${grantNumber} ${JSON.stringify(profile)}`,
      );
    case 'failSlotRequest':
      return [`fail to ${effect.jobId} ${effect.jobMasterId}: ${effect.allocationId} ${effect.problem.code}`];
    case 'checkAllocations':
      return [`look ${effect.jobId}: ${effect.allocationIds.toSorted().join(', ')}`];
    case 'requestSlotReport':
      return [`report wanted of ${effect.resourceId} ${effect.instanceId}`];
    case 'allocateContainer':
      return [`container for ${effect.allocationId} ${JSON.stringify(effect.profile)}`];
    case 'report':
      // For people: nothing follows from it.
      return [];
  }
}

function toText(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each));
}

/** What every run does in every turn is not left to `JSON.stringify`. */
function slotLines(views: Iterable<SlotView>): string[] {
  const texts: string[] = [];
  for (const view of views) {
    const { profile, allocationId, jobId, jobMasterId } = view;
    let text = profileTexts.get(profile);
    if (text === undefined) profileTexts.set(profile, (text = JSON.stringify(profile)));
    texts.push(
      `${view.resourceId}/${view.slotNumber} ${view.state} ${text} ${allocationId} ${jobId} ${jobMasterId} ${view.grantNumber} ${view.beingFreed}`,
    );
  }
  return texts.sort();
}

const profileTexts = new WeakMap<object, string>();

function toLines(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

function count(all: readonly string[], line: string): number {
  return all.filter((each) => each === line).length;
}

function lines(views: readonly unknown[]): string[] {
  return views.map(toText).toSorted();
}

/** The shortest run that was found to differ, too: operations are left out as long as it does. */
export function shrinkRun(
  drawn: DrawnRun,
  found: ManagerDiffers,
  make: MakeManager = createSlotManager,
): { readonly drawn: DrawnRun; readonly difference: ManagerDiffers } {
  let best = drawn;
  let difference = found;
  const tryWith = (operations: readonly number[]): boolean => {
    try {
      compareManagers({ ...drawn, operations }, make);
      return false;
    } catch (error) {
      if (!(error instanceof ManagerDiffers)) throw error;
      best = { ...drawn, operations: operations.slice(0, error.index + 1) };
      difference = error;
      return true;
    }
  };
  tryWith(drawn.operations.slice(0, found.index + 1));
  for (let size = Math.ceil(best.operations.length / 2); size > 0; ) {
    const before = best.operations.length;
    for (let at = before - size; at >= 0; at -= size)
      tryWith([...best.operations.slice(0, at), ...best.operations.slice(at + size)]);
    if (size > 1 || best.operations.length === before) size = Math.floor(size / 2);
  }
  return { drawn: best, difference };
}

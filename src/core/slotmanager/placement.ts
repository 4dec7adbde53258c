import type { CommandSender } from './command-sender.ts';
import type { SlotEntry, SlotRequestEntry, TaskExecutorEntry } from './entries.ts';
import type { Recovery } from './recovery.ts';
import type { RequestBook } from './request-book.ts';
import type { SlotBook } from './slot-book.ts';
import type { Turn } from './turn.ts';

/** Requests looked at in one turn after a take-over, so that no turn is long. */
const BACKLOG_SLICE = 1_000;

/** A request that could have a resting slot soon asks for a container only after this many call deadlines. */
const REST_PATIENCE = 3;

/** Brings together the slots that became free and the requests that wait; the end of each turn. */
export class Placement {
  readonly #turn: Turn;
  readonly #slots: SlotBook;
  readonly #requests: RequestBook;
  readonly #sender: CommandSender;
  readonly #recovery: Recovery;
  #backlog: SlotRequestEntry[] = [];
  #wasRecovering = false;

  constructor(turn: Turn, slots: SlotBook, requests: RequestBook, sender: CommandSender, recovery: Recovery) {
    this.#turn = turn;
    this.#slots = slots;
    this.#requests = requests;
    this.#sender = sender;
    this.#recovery = recovery;
  }

  run(): void {
    for (const slot of this.#slots.newlyReady) this.#offer(slot);
    this.#slots.newlyReady.clear();
    if (this.#requests.toPlace.size > 0) {
      const requests = [...this.#requests.toPlace].toSorted((a, b) => a.sequence - b.sequence);
      this.#requests.toPlace.clear();
      for (const request of requests)
        if (request.state === 'waiting' && !this.#place(request)) this.#considerContainer(request);
    }
    this.#afterRecovery();
  }

  /** Each waiting request that this slot fits gets the best fit there is, until the slot is taken or none is left. */
  #offer(slot: SlotEntry): void {
    while (slot.pool === 'ready') {
      const request = this.#requests.waiting.earliestFor(slot, this.#requests.isExcluded);
      if (request === null || !this.#place(request)) return;
    }
  }

  /** Gives it the best fit there is. Who came before it and may have that very slot is placed first. */
  #place(request: SlotRequestEntry): boolean {
    for (;;) {
      const slot = this.#slots.ready.find(request.profile, request.classKey, (entry) =>
        this.#requests.isExcluded(request, entry),
      );
      if (slot === null) return false;
      const first = this.#requests.waiting.earliestFor(slot, this.#requests.isExcluded);
      if (first !== null && first.sequence < request.sequence && this.#place(first)) continue;
      this.#requests.give(request, slot);
      this.#sender.requestSlot(slot, request);
      return true;
    }
  }

  #considerContainer(request: SlotRequestEntry): void {
    if (request.containerAsked) return;
    if (this.#recovery.active()) {
      this.#wasRecovering = true;
      return;
    }
    const patienceMs = REST_PATIENCE * this.#turn.settings.timing.taskExecutorCallMs;
    const untilMs = request.waitingSinceMs + patienceMs;
    if (this.#turn.nowMs < untilMs && this.#mayBeServedSoon(request)) {
      this.#turn.due.schedule(untilMs, () => {
        if (request.state === 'waiting') this.#requests.toPlace.add(request);
      });
      return;
    }
    request.containerAsked = true;
    const { allocationId, profile } = request;
    this.#turn.outbox.add({ type: 'allocateContainer', allocationId, profile });
  }

  /** Whether a free slot that fits only rests, or is closed to the request for a while only. */
  #mayBeServedSoon(request: SlotRequestEntry): boolean {
    const { profile, classKey } = request;
    const isExcluded = (entry: TaskExecutorEntry): boolean =>
      this.#requests.isUnreachable(request, entry.resourceId);
    return (
      this.#slots.resting.find(profile, classKey, isExcluded) !== null ||
      this.#slots.ready.find(profile, classKey, isExcluded) !== null
    );
  }

  /** When grace and brake are over, those that wait still may ask for containers; in slices. */
  #afterRecovery(): void {
    if (this.#recovery.active()) return;
    if (this.#wasRecovering) {
      this.#wasRecovering = false;
      this.#backlog = [...this.#requests.waiting].toSorted((a, b) => b.sequence - a.sequence);
    }
    if (this.#backlog.length === 0) return;
    for (let i = 0; i < BACKLOG_SLICE; i++) {
      const request = this.#backlog.pop();
      if (request === undefined) return;
      if (request.state === 'waiting') this.#considerContainer(request);
    }
    this.#turn.due.schedule(this.#turn.nowMs, () => {});
  }
}

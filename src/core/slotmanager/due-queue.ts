/** One thing that is to happen at a time; cancelled through the queue that made it. */
export interface DueEntry {
  readonly dueMs: number;
  readonly order: number;
  readonly action: () => void;
  /** Place in the heap; -1 once it has run or was cancelled. */
  index: number;
}

/** What waits for time: a binary heap, ordered by due time and then by the order of making. */
export class DueQueue {
  readonly #heap: DueEntry[] = [];
  #order = 0;

  schedule(dueMs: number, action: () => void): DueEntry {
    const entry: DueEntry = { dueMs, order: this.#order++, action, index: this.#heap.length };
    this.#heap.push(entry);
    this.#up(entry.index);
    return entry;
  }

  /** Does nothing when the entry has run or was cancelled before. */
  cancel(entry: DueEntry | null): void {
    if (entry === null || entry.index < 0) return;
    const index = entry.index;
    entry.index = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    this.#set(index, last);
    this.#up(index);
    this.#down(last.index);
  }

  nextDueMs(): number | null {
    return this.#heap[0]?.dueMs ?? null;
  }

  /** Runs what is due, in order; what an action schedules for now runs in the same call. */
  runDue(nowMs: number): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.dueMs > nowMs) return;
      this.cancel(first);
      first.action();
    }
  }

  #set(index: number, entry: DueEntry): void {
    this.#heap[index] = entry;
    entry.index = index;
  }

  #up(start: number): void {
    const entry = this.#heap[start];
    if (entry === undefined) return;
    let index = start;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#heap[parentIndex];
      if (parent === undefined || !before(entry, parent)) break;
      this.#set(index, parent);
      index = parentIndex;
    }
    this.#set(index, entry);
  }

  #down(start: number): void {
    const entry = this.#heap[start];
    if (entry === undefined) return;
    let index = start;
    for (;;) {
      const left = this.#heap[2 * index + 1];
      const right = this.#heap[2 * index + 2];
      const child = right !== undefined && left !== undefined && before(right, left) ? right : left;
      if (child === undefined || !before(child, entry)) break;
      const childIndex = child.index;
      this.#set(index, child);
      index = childIndex;
    }
    this.#set(index, entry);
  }
}

function before(a: DueEntry, b: DueEntry): boolean {
  return a.dueMs !== b.dueMs ? a.dueMs < b.dueMs : a.order < b.order;
}

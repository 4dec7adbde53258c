import { formatToken, mayObey, type FencingToken } from '../fencing-token.ts';
import { slotKey } from '../ids.ts';
import { formatPlace, type ExecutorFacts, rememberedToken, tokenOf } from './journal-facts.ts';
import { byProcess, type Gaps, isGapBetween } from './process-order.ts';
import type { Guarantee, Violation } from './violation.ts';

type LeaseLine = Extract<ExecutorFacts, { event: 'grant' | 'claim' | 'renew' | 'restore' | 'end' }>;
type StartLine = Extract<ExecutorFacts, { event: 'started' }>;

/** What a task executor's journal tells of one lease. */
export interface LeaseStory {
  readonly slot: string;
  readonly grantNumber: number;
  claimed: boolean;
  /** Time of day of its end; null while nothing tells of one. */
  endWallMs: number | null;
  endPlace: string | null;
}

interface OpenLease {
  readonly granted: LeaseLine;
  readonly story: LeaseStory;
  claimed: boolean;
  /** The line from which its duration runs. */
  since: LeaseLine;
  /** A former process held it, and the one of now has not said that it knows it. */
  stale: boolean;
}

interface SlotStory {
  highestGrant: number;
  open: OpenLease | null;
  /** Nobody may be granted the slot before: a lease may run on that the process of now does not know. */
  quarantine: { readonly untilWallMs: number; readonly since: LeaseLine } | null;
  /** False where the journal does not show what the slot holds. */
  known: boolean;
}

/** Rounding of what stands in journals as decimal fractions of a millisecond. */
const ROUNDING_MS = 1;

/** Replays the journal of one task executor, over all its processes; it is the ground truth of its slots. */
export class ExecutorReplay {
  readonly violations: Violation[] = [];
  readonly leases = new Map<string, LeaseStory>();
  /** How each process started; null for one whose start is not in the journal. */
  readonly starts = new Map<string, StartLine | null>();
  /** Processes after another of which nothing tells what they remembered. */
  unknownStarts = 0;
  /** Whether no line is missing as far as anybody can see. */
  complete = true;
  #knowsSlots = false;
  readonly #toleranceMs: number;
  readonly #slots = new Map<number, SlotStory>();
  #highest: { readonly token: FencingToken; readonly line: ExecutorFacts } | null = null;

  constructor(lines: readonly ExecutorFacts[], gaps: Gaps, toleranceMs: number) {
    this.#toleranceMs = toleranceMs;
    let before: ExecutorFacts | undefined;
    for (const own of byProcess(lines, ({ process }) => process)) {
      const start = own.find((line) => line.event === 'started') ?? null;
      const [first] = own;
      if (first === undefined) continue;
      this.starts.set(first.process, start);
      this.#begin(start, before === undefined);
      for (const line of own) {
        if (isGapBetween(gaps, before, line)) this.#forget();
        this.#take(line);
        before = line;
      }
    }
  }

  #begin(start: StartLine | null, isFirst: boolean): void {
    if (start !== null) this.#knowsSlots = true;
    if (start === null) {
      if (!isFirst) this.unknownStarts += 1;
      this.#forget();
      this.#highest = null;
    } else if (start.remembers) {
      this.#remember(start);
    } else {
      this.#highest = null;
      for (const slot of this.#slots.values()) {
        const { open } = slot;
        slot.open = null;
        slot.known = true;
        if (open === null || !open.claimed || start.slotsDieWithProcess) continue;
        slot.quarantine = { untilWallMs: open.since.wallMs + open.since.durationMs, since: open.since };
      }
    }
  }

  /** What a process reads from its state file is at least what the one before it has told others. */
  #remember(start: StartLine): void {
    const token = rememberedToken(start);
    const before = this.#highest;
    if (before !== null && (token === null || !mayObey(before.token, token))) {
      const now = token === null ? 'none' : formatToken(token);
      const detail = `The state file remembers token ${now} after ${formatToken(before.token)} had been accepted.`;
      this.#found('G2', 'token-forgotten', detail, start.resourceId, [before.line, start]);
    }
    this.#highest = token === null ? null : { token, line: start };
    // A lease that is not restored had ended: its end is written to the state file before the journal.
    for (const { open } of this.#slots.values()) if (open !== null) open.stale = true;
  }

  #forget(): void {
    this.complete = false;
    this.#knowsSlots = false;
    for (const slot of this.#slots.values()) {
      slot.open = null;
      slot.known = false;
    }
  }

  #take(line: ExecutorFacts): void {
    switch (line.event) {
      case 'started':
        return;
      case 'token-adopted':
        return this.#token(line, tokenOf(line), 'token-fell');
      case 'grant':
        this.#token(line, tokenOf(line), 'obeyed-lower-token');
        return this.#grant(line);
      case 'restore':
        return this.#restore(line);
      case 'claim':
      case 'renew':
        return this.#use(line);
      case 'end':
        return this.#end(line);
    }
  }

  #token(line: ExecutorFacts, token: FencingToken, rule: string): void {
    const before = this.#highest;
    if (before !== null && !mayObey(before.token, token)) {
      const detail = `Token ${formatToken(token)} was obeyed after ${formatToken(before.token)} had been accepted.`;
      this.#found('G2', rule, detail, line.resourceId, [before.line, line]);
      return;
    }
    this.#highest = { token, line };
  }

  #grant(line: LeaseLine): void {
    const slot = this.#slot(line);
    const { open, quarantine } = slot;
    if (open !== null && !open.stale) {
      const detail = `Grant ${line.grantNumber} was given while grant ${open.granted.grantNumber} ran.`;
      this.#found('G3', 'slot-leased-twice', detail, slotOf(line), [open.granted, line]);
    }
    if (line.grantNumber <= slot.highestGrant) {
      const detail = `Grant ${line.grantNumber} does not follow grant ${slot.highestGrant}.`;
      this.#found('G3', 'grant-number-fell', detail, slotOf(line), [
        ...(open === null ? [] : [open.granted]),
        line,
      ]);
    }
    if (quarantine !== null && line.wallMs + this.#toleranceMs < quarantine.untilWallMs) {
      const detail = `The slot was granted while grant ${quarantine.since.grantNumber} of a former process could run.`;
      this.#found('G3', 'quarantine-broken', detail, slotOf(line), [quarantine.since, line]);
    }
    for (const other of this.#slots.values()) {
      const held = other.open;
      if (held === null || held.stale || held.granted.allocationId !== line.allocationId || other === slot)
        continue;
      const detail = `Allocation ${line.allocationId} was granted a slot while it held slot ${held.granted.slotNumber}.`;
      this.#found('G4', 'allocation-leased-twice', detail, slotOf(line), [held.granted, line]);
    }
    this.#open(slot, line, false);
  }

  #restore(line: LeaseLine): void {
    const slot = this.#slot(line);
    const same = slot.open?.granted.grantNumber === line.grantNumber && slot.open.stale;
    if (!same && slot.known && line.grantNumber <= slot.highestGrant) {
      const detail = `Grant ${line.grantNumber} came back from the state file after it had ended.`;
      this.#found('G3', 'ended-lease-restored', detail, slotOf(line), [line]);
    }
    const claimed = this.#story(line).claimed;
    this.#open(slot, line, claimed);
  }

  #open(slot: SlotStory, line: LeaseLine, claimed: boolean): void {
    const story = this.#story(line);
    slot.open = { granted: line, story, claimed, since: line, stale: false };
    slot.highestGrant = Math.max(slot.highestGrant, line.grantNumber);
    slot.quarantine = null;
    slot.known = true;
  }

  #use(line: LeaseLine): void {
    const slot = this.#slot(line);
    if (!slot.known) this.#open(slot, line, true);
    const lease = this.#leaseOf(slot, line);
    if (lease === null) return;
    lease.claimed = true;
    lease.story.claimed = true;
    lease.since = line;
  }

  #end(line: LeaseLine): void {
    const slot = this.#slot(line);
    if (!slot.known) this.#open(slot, line, false);
    const lease = this.#leaseOf(slot, line);
    if (lease === null) return;
    const { since } = lease;
    // A restored lease may have been promised less by the process of now than by the one before.
    const isOwn = lease.granted.event === 'grant' && lease.claimed;
    const isLapse = line.event === 'end' && line.reason === 'lapsed';
    if (isOwn && isLapse && line.atMs + ROUNDING_MS < since.atMs + since.durationMs) {
      const detail = `Grant ${line.grantNumber} was ended before its time, while its user could rely on it.`;
      this.#found('G3', 'lease-cut-short', detail, slotOf(line), [since, line]);
    }
    lease.story.endWallMs = line.wallMs;
    lease.story.endPlace = formatPlace(line);
    slot.open = null;
  }

  #leaseOf(slot: SlotStory, line: LeaseLine): OpenLease | null {
    const { open } = slot;
    if (open !== null && !open.stale && isSameLease(open.granted, line)) return open;
    const held = open === null || open.stale ? 'no lease' : `grant ${open.granted.grantNumber}`;
    const detail = `A ${line.event} of grant ${line.grantNumber} was taken while the slot held ${held}.`;
    this.#found('G3', 'not-the-holder', detail, slotOf(line), [
      ...(open === null ? [] : [open.granted]),
      line,
    ]);
    return null;
  }

  #slot({ slotNumber }: LeaseLine): SlotStory {
    const slot = this.#slots.get(slotNumber) ?? {
      highestGrant: -1,
      open: null,
      quarantine: null,
      known: this.#knowsSlots,
    };
    this.#slots.set(slotNumber, slot);
    return slot;
  }

  #story(line: LeaseLine): LeaseStory {
    const slot = slotOf(line);
    const key = leaseKey(slot, line.grantNumber);
    const story = this.leases.get(key) ?? {
      slot,
      grantNumber: line.grantNumber,
      claimed: false,
      endWallMs: null,
      endPlace: null,
    };
    this.leases.set(key, story);
    return story;
  }

  #found(
    guarantee: Guarantee,
    rule: string,
    detail: string,
    key: string,
    lines: readonly ExecutorFacts[],
  ): void {
    this.violations.push({
      guarantee,
      rule,
      detail,
      keys: [key],
      revisions: [],
      places: lines.map(formatPlace),
    });
  }
}

/** Names one lease among all journals. */
export function leaseKey(slot: string, grantNumber: number): string {
  return `${slot}#${grantNumber}`;
}

function slotOf({ resourceId, slotNumber }: LeaseLine): string {
  return slotKey({ resourceId, slotNumber });
}

function isSameLease(a: LeaseLine, b: LeaseLine): boolean {
  return (
    a.grantNumber === b.grantNumber &&
    a.allocationId === b.allocationId &&
    a.jobMasterId === b.jobMasterId &&
    a.instanceId === b.instanceId
  );
}

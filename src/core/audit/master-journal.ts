import { formatToken, mayObey, type FencingToken } from '../fencing-token.ts';
import { slotKey } from '../ids.ts';
import { formatPlace, type MasterFacts, tokenOf } from './journal-facts.ts';
import { byProcess } from './process-order.ts';
import type { Guarantee, Violation } from './violation.ts';

type HoldingLine = Exclude<MasterFacts, { event: 'token-adopted' }>;

/** One slot in the hand of one job master, from the acknowledged claim on. */
export interface Holding {
  readonly slot: string;
  readonly resourceId: string;
  readonly instanceId: string;
  readonly grantNumber: number;
  readonly jobMasterId: string;
  readonly claimed: HoldingLine;
  readonly fromWallMs: number;
  /** The earlier of its end and of the deadline that the job master had set itself last. */
  untilWallMs: number;
  deadlineMs: number;
  ended: boolean;
}

/** Replays the journals of job masters, each process for itself. */
export class MasterReplay {
  readonly violations: Violation[] = [];
  readonly holdings: Holding[] = [];
  /** Lines about a slot whose claim no line tells. */
  withoutClaim = 0;
  readonly processes: number;

  constructor(lines: readonly MasterFacts[]) {
    const processes = byProcess(lines, ({ jobMasterId }) => jobMasterId);
    this.processes = processes.length;
    for (const own of processes) this.#replay(own);
  }

  #replay(lines: readonly MasterFacts[]): void {
    const held = new Map<string, Holding>();
    let highest: { readonly token: FencingToken; readonly line: MasterFacts } | null = null;
    for (const line of lines) {
      if (line.event === 'token-adopted') {
        const token = tokenOf(line);
        if (highest !== null && !mayObey(highest.token, token)) {
          const detail = `Token ${formatToken(token)} was obeyed after ${formatToken(highest.token)} had been accepted.`;
          this.#found('G2', 'token-fell', detail, line.jobId, [highest.line, line]);
        } else {
          highest = { token, line };
        }
      } else if (line.event === 'slot-claimed') {
        this.#claimed(held, line);
      } else {
        this.#goesOn(held, line);
      }
    }
  }

  #claimed(held: Map<string, Holding>, line: Extract<HoldingLine, { event: 'slot-claimed' }>): void {
    const { allocationId, resourceId, instanceId, grantNumber, jobMasterId, deadlineMs } = line;
    const before = held.get(allocationId);
    if (before !== undefined && !before.ended && line.atMs < before.deadlineMs) {
      const detail = `Allocation ${allocationId} took a second slot while it had ${before.slot} in hand.`;
      this.#found('G4', 'allocation-holds-two', detail, slotOf(line), [before.claimed, line]);
    }
    const holding: Holding = {
      slot: slotOf(line),
      resourceId,
      instanceId,
      grantNumber,
      jobMasterId,
      claimed: line,
      fromWallMs: line.wallMs,
      untilWallMs: line.wallMs + deadlineMs - line.atMs,
      deadlineMs,
      ended: false,
    };
    held.set(allocationId, holding);
    this.holdings.push(holding);
  }

  #goesOn(held: Map<string, Holding>, line: Exclude<HoldingLine, { event: 'slot-claimed' }>): void {
    const holding = held.get(line.allocationId);
    if (holding === undefined || holding.grantNumber !== line.grantNumber || holding.slot !== slotOf(line)) {
      this.withoutClaim += 1;
      return;
    }
    if (line.event === 'lease-ended') {
      holding.untilWallMs = Math.min(holding.untilWallMs, line.wallMs);
      holding.ended = true;
      return;
    }
    if (holding.ended || line.atMs >= holding.deadlineMs) {
      const detail = `A slot that was out of hand (grant ${line.grantNumber}) was taken back by a late renewal.`;
      this.#found('G3', 'kept-past-deadline', detail, holding.slot, [holding.claimed, line]);
    }
    holding.deadlineMs = line.deadlineMs;
    holding.untilWallMs = line.wallMs + line.deadlineMs - line.atMs;
  }

  #found(
    guarantee: Guarantee,
    rule: string,
    detail: string,
    key: string,
    lines: readonly MasterFacts[],
  ): void {
    const places = lines.map(formatPlace);
    this.violations.push({ guarantee, rule, detail, keys: [key], revisions: [], places });
  }
}

function slotOf({ resourceId, slotNumber }: HoldingLine): string {
  return slotKey({ resourceId, slotNumber });
}

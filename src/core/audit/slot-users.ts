import { type ExecutorReplay, leaseKey } from './executor-journal.ts';
import { formatPlace } from './journal-facts.ts';
import type { Holding } from './master-journal.ts';
import type { Violation } from './violation.ts';

/** What came of comparing users with each other and with the owners of their slots. */
export interface UsersVerdict {
  readonly violations: readonly Violation[];
  /** Times in hand of which no task executor's journal tells. */
  readonly unattested: number;
}

/**
 * Judges what job masters believed to hold (G3), by the time of day: no two of them had one slot at once for longer
 * than the tolerance, none had it longer than that past its end at the task executor, and none claimed a lease that the
 * task executor never gave it.
 */
export function judgeUsers(
  holdings: readonly Holding[],
  executors: ReadonlyMap<string, ExecutorReplay>,
  toleranceMs: number,
): UsersVerdict {
  const violations: Violation[] = [];
  let unattested = 0;
  for (const own of bySlot(holdings).values()) violations.push(...judgeSlot(own, executors, toleranceMs));
  for (const holding of holdings) {
    const executor = executors.get(holding.resourceId);
    const lease = executor?.leases.get(leaseKey(holding.slot, holding.grantNumber));
    const begun = executor?.starts.get(holding.instanceId) ?? null;
    if (lease?.claimed === true) {
      const { endWallMs, endPlace } = lease;
      if (endWallMs === null || holding.untilWallMs <= endWallMs + toleranceMs) continue;
      const lateMs = Math.round(holding.untilWallMs - endWallMs);
      const detail = `Grant ${holding.grantNumber} was in hand for ${lateMs} ms after its task executor had ended it.`;
      violations.push(found('used-after-end', detail, holding, [endPlace ?? '']));
    } else if (begun !== null && executor?.complete === true) {
      const detail = `Grant ${holding.grantNumber} was in hand, but its task executor's journal has no such claim.`;
      violations.push(found('claimed-from-nobody', detail, holding, []));
    } else {
      unattested += 1;
    }
  }
  return { violations, unattested };
}

function bySlot(holdings: readonly Holding[]): Map<string, Holding[]> {
  const slots = new Map<string, Holding[]>();
  for (const holding of holdings) {
    const own = slots.get(holding.slot);
    if (own === undefined) slots.set(holding.slot, [holding]);
    else own.push(holding);
  }
  return slots;
}

/** Each holding against the one before it that lasted longest. */
function judgeSlot(
  holdings: readonly Holding[],
  executors: ReadonlyMap<string, ExecutorReplay>,
  toleranceMs: number,
): Violation[] {
  const violations: Violation[] = [];
  let longest: Holding | undefined;
  for (const holding of holdings.toSorted((a, b) => a.fromWallMs - b.fromWallMs)) {
    if (longest !== undefined && longest.grantNumber !== holding.grantNumber) {
      const overlapMs = Math.min(longest.untilWallMs, holding.untilWallMs) - holding.fromWallMs;
      if (overlapMs > toleranceMs && !diedBetween(longest, holding, executors)) {
        const detail =
          `Grants ${longest.grantNumber} and ${holding.grantNumber} were in hand at once ` +
          `for ${Math.round(overlapMs)} ms.`;
        violations.push(found('two-users', detail, holding, [formatPlace(longest.claimed)]));
      }
    }
    if (longest === undefined || holding.untilWallMs > longest.untilWallMs) longest = holding;
  }
  return violations;
}

/** Whether whatever used the slot under the earlier lease ended with the process that granted it. */
function diedBetween(
  earlier: Holding,
  later: Holding,
  executors: ReadonlyMap<string, ExecutorReplay>,
): boolean {
  if (earlier.instanceId === later.instanceId) return false;
  return executors.get(later.resourceId)?.starts.get(later.instanceId)?.slotsDieWithProcess === true;
}

function found(rule: string, detail: string, holding: Holding, others: readonly string[]): Violation {
  const places = [...others, formatPlace(holding.claimed)];
  return { guarantee: 'G3', rule, detail, keys: [holding.slot], revisions: [], places };
}

import { compareCommandNumbers } from '../../src/core/command-number.ts';
import { compareTokens } from '../../src/core/fencing-token.ts';
import type { SlotProcess } from './slot-world.ts';

interface Running {
  readonly process: SlotProcess;
  /** False for a process that is paused: whatever it believes, it does nothing. */
  readonly runs: boolean;
}

/** What must never hold of all processes at one moment; null when nothing of it does. */
export function slotViolation(all: readonly Running[], nowMs: number): string | null {
  const hands = new Map<string, string>();
  const leases = new Map<string, string>();
  const slotOf = new Map<string, string>();
  const forgetful = new Set<string>();
  for (const { process } of all) {
    if (process.kind !== 'te') continue;
    if (process.forgetful) forgetful.add(`te-${process.index}`);
    for (const { slotNumber, allocationId, claimed, grantNumber } of process.book.leases()) {
      const slot = `te-${process.index}#${slotNumber}`;
      if (!claimed) continue;
      const other = slotOf.get(allocationId);
      if (other !== undefined) return `G4: ${allocationId} has claimed ${other} and ${slot}`;
      slotOf.set(allocationId, slot);
      leases.set(slot, `${allocationId}/${grantNumber}`);
    }
  }
  for (const { process, runs } of all) {
    if (process.kind !== 'jm' || !runs) continue;
    const acknowledged = new Map(process.pool.held().map((grant) => [grant.allocationId, grant]));
    for (const allocationId of process.allocationIds) {
      if (!process.pool.isInHand(allocationId, nowMs)) continue;
      const grant = acknowledged.get(allocationId);
      if (grant === undefined) return `G3: ${allocationId} is in hand, and no claim of it was acknowledged`;
      const { slotId, grantNumber } = grant;
      const slot = `${slotId.resourceId}#${slotId.slotNumber}`;
      const other = hands.get(slot);
      if (other !== undefined) return `G3: ${slot} is in the hands of ${other} and ${allocationId}`;
      hands.set(slot, allocationId);
      if (forgetful.has(slotId.resourceId)) continue;
      const lease = leases.get(slot);
      if (lease !== `${allocationId}/${grantNumber}`) {
        return `G3: ${slot} is in the hand of ${allocationId}, and its task executor holds ${lease ?? 'no claimed lease'}`;
      }
    }
  }
  return null;
}

/** What one turn of one process must never do; null when it did not. */
export function unlikeBefore(
  before: SlotProcess,
  after: SlotProcess,
  notes: readonly string[],
): string | null {
  if (before.kind !== 'te' || after.kind !== 'te') return null;
  const highest = before.book.highestToken;
  for (const note of notes) {
    const epoch = /^executed (\d+)$/.exec(note)?.[1];
    if (epoch !== undefined && highest !== null && BigInt(epoch) < highest.epoch) {
      return `G2: a command of epoch ${epoch} was executed after epoch ${highest.epoch} had been accepted`;
    }
  }
  // Whoever has lost its state file has lost its token too; its registration stands between.
  if (after.forgetful && after.incarnation !== before.incarnation) return null;
  const now = after.book.highestToken;
  if (highest !== null && (now === null || compareTokens(now, highest) < 0)) {
    return `G2: the highest token fell from epoch ${highest.epoch} to ${now?.epoch ?? 'none'}`;
  }
  const executed = before.book.state().lastSeen;
  const last = after.book.state().lastSeen;
  if (executed !== null && (last === null || compareCommandNumbers(last, executed) < 0)) {
    return `G2: the number of the last command executed fell from ${executed.epoch}-${executed.n} to ${last === null ? 'none' : `${last.epoch}-${last.n}`}`;
  }
  const old = new Map(before.book.leases().map((lease) => [lease.slotNumber, lease]));
  const numbers = new Map(before.book.state().slots.map((slot) => [slot.slotNumber, slot.grantNumber]));
  for (const lease of after.book.leases()) {
    const was = old.get(lease.slotNumber);
    if (was?.grantNumber === lease.grantNumber && was.allocationId === lease.allocationId) continue;
    if (lease.grantNumber <= (numbers.get(lease.slotNumber) ?? 0)) {
      return `G3: slot ${lease.slotNumber} was granted again under number ${lease.grantNumber}`;
    }
  }
  return null;
}

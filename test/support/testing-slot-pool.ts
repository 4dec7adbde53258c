import type { AllocationId, InstanceId, ResourceId } from '../../src/core/ids.ts';
import type { SlotPoolEffect, SlotPoolEvent } from '../../src/core/jobmaster/slot-pool-events.ts';
import { SlotPool } from '../../src/core/jobmaster/slot-pool.ts';
import type { SlotGrant } from '../../src/core/messages/slots.ts';
import type { Problem, ProblemCode } from '../../src/core/problem.ts';
import { DEFAULT_TIMING } from '../../src/core/timing.ts';

type Effect<T extends SlotPoolEffect['type']> = Extract<SlotPoolEffect, { readonly type: T }>;

/** One cpu core and 512 MB. */
export const SMALL = { cpuCores: 1, memoryMB: 512, extended: {} };

/** A grant for that allocation; slot 0 of task executor `te`, first grant, unless told otherwise. */
export function grantFor(
  allocationId: string,
  where: { te?: string; slot?: number; number?: number; address?: string } = {},
): SlotGrant {
  const te = where.te ?? 'te';
  return {
    allocationId: allocationId as AllocationId,
    slotId: { resourceId: te as ResourceId, slotNumber: where.slot ?? 0 },
    instanceId: `instance-of-${te}` as InstanceId,
    address: where.address ?? `${te}:1`,
    grantNumber: where.number ?? 1,
    profile: SMALL,
  };
}

/** The problem of that code, with nothing to say. */
export function problemOf(code: ProblemCode): Problem {
  return { code, detail: 'for the test' };
}

/** A slot pool with default times, moved by hand; remembers every effect. */
export class TestingSlotPool {
  readonly pool = new SlotPool(DEFAULT_TIMING);
  readonly effects: SlotPoolEffect[] = [];
  nowMs = 0;

  tell(event: SlotPoolEvent): SlotPoolEffect[] {
    const effects = this.pool.handle(event, this.nowMs);
    this.effects.push(...effects);
    return effects;
  }

  /** Moves time and lets the pool look at it. */
  pass(ms: number): SlotPoolEffect[] {
    this.nowMs += ms;
    return this.tell({ type: 'tick' });
  }

  all<T extends SlotPoolEffect['type']>(
    type: T,
    among: readonly SlotPoolEffect[] = this.effects,
  ): Effect<T>[] {
    return among.filter((effect): effect is Effect<T> => effect.type === type);
  }

  last<T extends SlotPoolEffect['type']>(type: T): Effect<T> {
    const effect = this.all(type).at(-1);
    if (effect === undefined) throw new Error(`there was no effect ${type}`);
    return effect;
  }

  request(...ids: string[]): SlotPoolEffect[] {
    const requests = ids.map((id) => ({ allocationId: id as AllocationId, profile: SMALL }));
    return this.tell({ type: 'slotsRequested', requests, timeoutMs: DEFAULT_TIMING.slotRequestTimeoutMs });
  }

  register(newTerm = true): SlotPoolEffect[] {
    return this.tell({ type: 'registered', newTerm });
  }

  grant(...grants: SlotGrant[]): SlotPoolEffect[] {
    return this.tell({ type: 'slotsAllocated', grants });
  }

  connect(te = 'te'): SlotPoolEffect[] {
    return this.tell({ type: 'peerConnected', peer: `${te}@${te}:1` });
  }

  disconnect(te = 'te'): SlotPoolEffect[] {
    return this.tell({ type: 'peerDisconnected', peer: `${te}@${te}:1` });
  }

  /** Answers the newest claim. */
  answerClaim(code: ProblemCode | null = null, durationMs = DEFAULT_TIMING.slotLeaseMs): SlotPoolEffect[] {
    const { callId, lease } = this.last('claimSlot');
    const answer = code === null ? ({ ok: true, reply: { durationMs } } as const) : refusal(code);
    return this.tell({ type: 'claimAnswered', callId, allocationId: lease.allocationId, answer });
  }

  /** Answers the newest renewal: each lease alike, or the whole call by a problem. */
  answerRenewal(perLease: ProblemCode | null, call: ProblemCode | null = null): SlotPoolEffect[] {
    const { callId, peer, leases } = this.last('renewLeases');
    const results = leases.map(({ allocationId }) => ({
      allocationId,
      problem: perLease === null ? null : problemOf(perLease),
    }));
    const reply = { durationMs: DEFAULT_TIMING.slotLeaseMs, results };
    const answer = call === null ? ({ ok: true, reply } as const) : refusal(call);
    return this.tell({ type: 'renewalAnswered', callId, peer, answer });
  }

  /** Answers the newest release. */
  answerRelease(code: ProblemCode | null = null): SlotPoolEffect[] {
    const { callId, peer } = this.last('releaseLeases');
    const answer = code === null ? ({ ok: true, reply: {} } as const) : refusal(code);
    return this.tell({ type: 'releaseAnswered', callId, peer, answer });
  }

  /** Registered, one request granted at `te`, its connection up, claimed and in hand. */
  hold(id = 'a', te = 'te'): void {
    this.register();
    this.request(id);
    this.grant(grantFor(id, { te }));
    this.connect(te);
    this.answerClaim();
  }

  isInHand(id = 'a'): boolean {
    return this.pool.isInHand(id as AllocationId, this.nowMs);
  }
}

function refusal(code: ProblemCode): { readonly ok: false; readonly problem: Problem } {
  return { ok: false, problem: problemOf(code) };
}

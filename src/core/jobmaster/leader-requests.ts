import type { AllocationId } from '../ids.ts';
import type { SlotRequest } from '../messages/slots.ts';
import { PROBLEM_CODES, type Problem, type ProblemCode } from '../problem.ts';
import type { Answer, PerAllocation, SlotPoolEffect } from './slot-pool-events.ts';

/** How many requests travel in one call. */
const BATCH = 10_000;
const RETRY = { firstMs: 100, mostMs: 5_000 };

const PAUSES: ReadonlySet<ProblemCode> = new Set(['UNKNOWN_JOB_MASTER', 'FENCED', 'STALE']);

/** Whether a problem with the leader is a pause for the user: the same request is sent again, here or to the next leader. */
export function isPause(problem: Problem): boolean {
  return PROBLEM_CODES[problem.code].retriable || PAUSES.has(problem.code);
}

/**
 * Which requests and withdrawals the present leader still has to be told. What it has acknowledged holds for
 * its term; each new leader is told everything again.
 */
export class LeaderRequests {
  readonly #nextCallId: () => number;
  #registered = false;
  #unsent = new Set<AllocationId>();
  /** What the present leader may know of. */
  readonly #told = new Set<AllocationId>();
  readonly #cancels = new Set<AllocationId>();
  readonly #calls = new Map<number, readonly AllocationId[]>();
  #cancelCall: { readonly callId: number; readonly ids: readonly AllocationId[] } | null = null;
  #failures = 0;
  #notBeforeMs = -Infinity;

  constructor(nextCallId: () => number) {
    this.#nextCallId = nextCallId;
  }

  /** Nothing to withdraw is left that the leader would have to be told. */
  get quiet(): boolean {
    return this.#cancels.size === 0;
  }

  /** The leader is to be told of this request (again). */
  send(id: AllocationId): void {
    this.#unsent.add(id);
  }

  /** As `send`, after a while. */
  sendLater(id: AllocationId, problem: Problem, nowMs: number): void {
    this.#unsent.add(id);
    this.#backOff(problem, nowMs);
  }

  /** The request is no more; what the leader may know of it is withdrawn. */
  withdraw(id: AllocationId): void {
    this.#unsent.delete(id);
    if (this.#told.delete(id)) this.#cancels.add(id);
  }

  /** The allocation needs no request any more, because it has its slot. */
  fulfilled(id: AllocationId): void {
    this.#unsent.delete(id);
    this.#told.delete(id);
  }

  /** A leader listens: it is told all of `unfinished`, in that order. */
  registered(unfinished: readonly AllocationId[], newTerm: boolean): void {
    this.#registered = true;
    this.#calls.clear();
    this.#cancelCall = null;
    this.#failures = 0;
    this.#notBeforeMs = -Infinity;
    if (newTerm) {
      this.#told.clear();
      this.#cancels.clear();
    }
    this.#unsent = new Set(unfinished);
  }

  lost(): void {
    this.#registered = false;
  }

  /** Takes the answer to a call of requests; returns those that the leader will never fulfil. */
  answered(
    callId: number,
    answer: Answer<{ readonly results: readonly PerAllocation[] }>,
    nowMs: number,
  ): { readonly allocationId: AllocationId; readonly problem: Problem }[] {
    const ids = this.#calls.get(callId);
    if (ids === undefined) return [];
    this.#calls.delete(callId);
    const failed: { allocationId: AllocationId; problem: Problem }[] = [];
    const results = new Map<AllocationId, Problem | null>();
    if (answer.ok)
      for (const { allocationId, problem } of answer.reply.results) results.set(allocationId, problem);
    let pause: Problem | null = null;
    for (const id of ids) {
      const problem = answer.ok ? (results.get(id) ?? null) : answer.problem;
      if (problem === null || !this.#told.has(id)) continue;
      if (isPause(problem)) {
        pause = problem;
        this.#unsent.add(id);
      } else failed.push({ allocationId: id, problem });
    }
    if (pause === null) this.#failures = 0;
    else this.#backOff(pause, nowMs);
    return failed;
  }

  cancellationAnswered(callId: number, answer: Answer<unknown>, nowMs: number): void {
    const call = this.#cancelCall;
    if (call?.callId !== callId) return;
    this.#cancelCall = null;
    if (!answer.ok && isPause(answer.problem)) return this.#backOff(answer.problem, nowMs);
    for (const id of call.ids) this.#cancels.delete(id);
  }

  /** Forgets everything, for good. */
  close(): void {
    this.#registered = false;
    this.#unsent.clear();
    this.#cancels.clear();
  }

  /** Sends what is due; `toRequest` gives null for an allocation that needs no slot any more. */
  flush(nowMs: number, toRequest: (id: AllocationId) => SlotRequest | null, out: SlotPoolEffect[]): void {
    if (!this.#registered || nowMs < this.#notBeforeMs) return;
    if (this.#cancels.size > 0 && this.#cancelCall === null) {
      const ids = [...this.#cancels].slice(0, BATCH);
      this.#cancelCall = { callId: this.#nextCallId(), ids };
      out.push({ type: 'cancelSlotRequests', callId: this.#cancelCall.callId, allocationIds: ids });
    }
    if (this.#unsent.size === 0) return;
    const requests: SlotRequest[] = [];
    for (const id of this.#unsent) {
      const request = toRequest(id);
      if (request !== null) requests.push(request);
    }
    this.#unsent.clear();
    for (let from = 0; from < requests.length; from += BATCH) {
      const batch = requests.slice(from, from + BATCH);
      const callId = this.#nextCallId();
      const ids = batch.map((request) => request.allocationId);
      this.#calls.set(callId, ids);
      for (const id of ids) this.#told.add(id);
      out.push({ type: 'requestSlots', callId, requests: batch });
    }
  }

  /** When `flush` has something to send that waits for time only. */
  nextDueMs(): number | null {
    const waiting = this.#unsent.size > 0 || (this.#cancels.size > 0 && this.#cancelCall === null);
    return this.#registered && waiting ? this.#notBeforeMs : null;
  }

  #backOff(problem: Problem, nowMs: number): void {
    const delayMs = Math.min(RETRY.mostMs, RETRY.firstMs * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    this.#notBeforeMs = nowMs + Math.max(delayMs, problem.retryAfterMs ?? 0);
  }
}

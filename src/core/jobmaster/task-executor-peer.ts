import type { AllocationId } from '../ids.ts';
import type { SlotGrant } from '../messages/slots.ts';
import { leaseKey, peerId, type Withdrawal } from './pooled-allocation.ts';
import type { PeerId, SlotPoolEffect } from './slot-pool-events.ts';

/** Leases of one call: what is asked for at one task executor travels together. */
const BATCH = 10_000;
/** A repetition waits for this share of the renewal interval at first, and for a quarter of it at most. */
const FIRST_RETRY_SHARE = 1 / 40;

/** One call that renews leases; what its answer proves counts from when it was sent. */
export interface Renewal {
  readonly sentMs: number;
  readonly grants: readonly SlotGrant[];
}

/** Calls under way and due at one task executor at one address. */
export class TaskExecutorPeer {
  readonly id: PeerId;
  readonly resourceId: SlotGrant['slotId']['resourceId'];
  readonly address: string;
  /** A connection stands whose other side has proved to be that task executor. */
  connected = false;
  readonly claims = new Set<AllocationId>();
  readonly held = new Set<AllocationId>();
  readonly withdrawals = new Map<string, Withdrawal>();
  /** When the next claim may be sent; Infinity when none waits. */
  nextClaimMs = Infinity;
  nextRenewalMs = Infinity;
  nextReleaseMs = -Infinity;
  readonly #renewalMs: number;
  #renewal: (Renewal & { readonly callId: number }) | null = null;
  #askedMs = -Infinity;
  #release: { readonly callId: number; readonly keys: readonly string[] } | null = null;
  #renewalFailures = 0;
  #releaseFailures = 0;

  constructor(grant: SlotGrant, renewalMs: number) {
    this.id = peerId(grant);
    this.resourceId = grant.slotId.resourceId;
    this.address = grant.address;
    this.#renewalMs = renewalMs;
  }

  get used(): boolean {
    return this.claims.size > 0 || this.held.size > 0 || this.withdrawals.size > 0;
  }

  /** Nothing is wanted of it any more. */
  forgetAll(): void {
    this.claims.clear();
    this.held.clear();
    this.withdrawals.clear();
  }

  connectedAgain(nowMs: number): void {
    this.connected = true;
    this.#releaseFailures = 0;
    this.nextReleaseMs = nowMs;
    if (this.#renewalFailures > 0) this.nextRenewalMs = nowMs;
  }

  disconnected(): void {
    this.connected = false;
  }

  /** A renewal is due at once, and one that is under way counts for nothing. */
  renewNow(nowMs: number): void {
    this.#renewal = null;
    this.nextRenewalMs = nowMs;
  }

  /** A renewal begun from now on is wanted; one that is under way is waited for first. */
  renewSoon(nowMs: number): void {
    this.#askedMs = nowMs;
    this.nextRenewalMs = nowMs;
  }

  /** A renewal is due an interval after `sentMs` at the latest. */
  renewAfter(sentMs: number, durationMs: number): void {
    this.nextRenewalMs = Math.min(this.nextRenewalMs, sentMs + Math.min(this.#renewalMs, durationMs / 3));
  }

  /** The renewal that this call was, when it still counts. */
  takeRenewal(callId: number): Renewal | null {
    const renewal = this.#renewal;
    if (renewal?.callId !== callId) return null;
    this.#renewal = null;
    return renewal;
  }

  renewalSucceeded(sentMs: number, durationMs: number): void {
    this.#renewalFailures = 0;
    this.nextRenewalMs = this.#askedMs > sentMs ? this.#askedMs : Infinity;
    this.renewAfter(sentMs, durationMs);
  }

  renewalFailed(nowMs: number): void {
    this.nextRenewalMs = nowMs + this.#retryMs(this.#renewalFailures);
    this.#renewalFailures += 1;
  }

  /** The withdrawals that this call asked for, when it still counts. */
  takeRelease(callId: number): readonly Withdrawal[] | null {
    const release = this.#release;
    if (release?.callId !== callId) return null;
    this.#release = null;
    return release.keys.flatMap((key) => this.withdrawals.get(key) ?? []);
  }

  releaseFailed(nowMs: number): void {
    this.nextReleaseMs = nowMs + this.#retryMs(this.#releaseFailures);
    this.#releaseFailures += 1;
  }

  /** How long to wait before a claim is sent again. */
  claimRetryMs(failures: number): number {
    return this.#retryMs(failures);
  }

  /** Sends the renewals and releases that are due. */
  flush(
    nowMs: number,
    callId: () => number,
    grantOf: (id: AllocationId) => SlotGrant | null,
    out: SlotPoolEffect[],
  ): void {
    if (!this.connected) return;
    if (this.#renewal === null && this.held.size > 0 && nowMs >= this.nextRenewalMs) {
      const grants = [...this.held].flatMap((id) => grantOf(id) ?? []);
      this.#renewal = { callId: callId(), sentMs: nowMs, grants };
      out.push({
        type: 'renewLeases',
        callId: this.#renewal.callId,
        peer: this.id,
        leases: grants.map(leaseKey),
      });
    }
    if (this.#release === null && this.withdrawals.size > 0 && nowMs >= this.nextReleaseMs) {
      const due = [...this.withdrawals.values()].slice(0, BATCH);
      this.#release = { callId: callId(), keys: due.map((withdrawal) => withdrawal.key) };
      out.push({
        type: 'releaseLeases',
        callId: this.#release.callId,
        peer: this.id,
        leases: due.map((withdrawal) => withdrawal.lease),
      });
    }
  }

  /** When `flush` has something to send that waits for time only; Infinity when nothing does. */
  nextDueMs(): number {
    if (!this.connected) return Infinity;
    const renewalMs = this.#renewal === null && this.held.size > 0 ? this.nextRenewalMs : Infinity;
    const releaseMs = this.#release === null && this.withdrawals.size > 0 ? this.nextReleaseMs : Infinity;
    return Math.min(renewalMs, releaseMs, this.nextClaimMs);
  }

  #retryMs(failures: number): number {
    const firstMs = this.#renewalMs * FIRST_RETRY_SHARE;
    return Math.min(this.#renewalMs / 4, firstMs * 2 ** Math.min(failures, 10));
  }
}

import type { FencingToken } from '../fencing-token.ts';
import type { ConfirmOutcome, Deposition, ElectionEffect, EndCause } from './election-events.ts';
import type { Identity } from './identity.ts';
import type { PeerSighting } from './peer-sighting.ts';
import type { Succession } from './succession.ts';

export interface ConfirmationSettings {
  readonly etcdResendMs: number;
  /** After a definite refusal, the next attempt waits this long. */
  readonly retryMs: number;
}

/** Each definite answer but success. */
type Refusal = Exclude<ConfirmOutcome, { readonly kind: 'confirmed' }>;

/** The way from the one grant of a candidacy to its confirm: when it is sent, over whom, and what a refusal means. */
export class Confirmation {
  readonly #candidacy: number;
  readonly #settings: ConfirmationSettings;
  readonly #succession: Succession;
  #dueMs = Infinity;
  #identity: Identity | null = null;
  #overSomebody = false;
  /** With the confirm that was sent last; null when it deposed nobody. */
  #deposition: Deposition | null = null;

  constructor(candidacy: number, settings: ConfirmationSettings, succession: Succession) {
    this.#candidacy = candidacy;
    this.#settings = settings;
    this.#succession = succession;
  }

  /** Monotonic time at which it is to be sent; Infinity before the contender is ready and while one is under way. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** Leadership was granted over somebody who is still in line, and goes only with a deposition. */
  get overSomebody(): boolean {
    return this.#overSomebody;
  }

  /** The identity that the confirm sent last was made under; null before the first. */
  get identity(): Identity | null {
    return this.#identity;
  }

  /** Leadership was granted over `deposition`. */
  grantedOver(deposition: Deposition, out: ElectionEffect[], key: string): void {
    this.#overSomebody = true;
    const fields = { key, evidence: deposition.evidence };
    out.push({ type: 'log', level: 'warn', event: 'deposing the head of the line', fields });
  }

  /** Nobody stands ahead any more: by itself or by another hand, so that a confirm need not wait. */
  headGone(nowMs: number): void {
    if (this.#overSomebody && this.#dueMs !== Infinity) this.#dueMs = nowMs;
    this.#overSomebody = false;
  }

  /** The contender is ready. */
  request(nowMs: number): void {
    this.#dueMs = nowMs;
  }

  /** Sends it; returns why the candidacy must end instead, else null. */
  send(token: FencingToken, identity: Identity, nowMs: number, out: ElectionEffect[]): EndCause | null {
    let deposition: Deposition | null = null;
    if (this.#overSomebody) {
      const plan = this.#succession.plan(nowMs);
      if (plan?.next !== true) return headIsBack('the grounds for its deposition are gone');
      ({ deposition } = plan);
    }
    this.#dueMs = Infinity;
    this.#identity = identity;
    this.#deposition = deposition;
    out.push({ type: 'confirm', candidacy: this.#candidacy, token, identity, deposition });
    return null;
  }

  /**
   * Why the candidacy ends now that this was seen; null when it goes on. A confirm may be under way for long, as while
   * etcd is full: it must not depose one that has been reached again meanwhile.
   */
  sighted(sighting: PeerSighting): EndCause | null {
    if (sighting.type !== 'reached' || !this.#overSomebody) return null;
    const isBack = this.#deposition?.dead.some(
      ({ candidate }) => candidate?.bootNonce === sighting.bootNonce,
    );
    return isBack === true ? headIsBack('it was reached again') : null;
  }

  /** What a confirm without success leads to: returns why the candidacy ends; null when it is sent again. */
  refused(refusal: Refusal, nowMs: number, out: ElectionEffect[]): EndCause | null {
    switch (refusal.kind) {
      case 'key-gone':
        return { reason: 'candidate key gone', evidence: 'the confirm found the candidate key gone' };
      case 'identity-differs':
        out.push({ type: 'observe', reason: 'the confirm found another identity' });
        return { reason: 'identity differs', evidence: 'the confirm found another identity' };
      case 'refused':
        out.push({ type: 'observe', reason: 'the confirm was refused' });
        // Another hand was faster with the deposition, and nobody is ahead any more.
        this.#dueMs = nowMs;
        if (this.#deposition === null || this.#overSomebody) this.#dueMs += this.#settings.etcdResendMs;
        return null;
      case 'head-answered':
        return headIsBack('it answered its challenge after all');
      case 'limited':
        this.#dueMs = nowMs + this.#settings.retryMs;
        return null;
    }
  }
}

/** Granted once, a key is never granted again, so it goes to the end of the line with a new one. */
function headIsBack(evidence: string): EndCause {
  return { reason: 'the head of the line is alive', evidence };
}

import type { ElectionEffect } from '../core/election/election-events.ts';
import type { CandidateSession } from './candidate-session.ts';

/** Effects that are the business of one candidacy's dealings with the store. */
export type SessionEffect = Extract<
  ElectionEffect,
  {
    readonly type:
      | 'grantLease'
      | 'putCandidateKey'
      | 'keepAlive'
      | 'putChallenge'
      | 'readChallenge'
      | 'depose'
      | 'confirm'
      | 'sendCheck'
      | 'release';
  }
>;

/** How a departure goes on after its candidacy, and who waits for it. */
export interface DepartureCare {
  /** Ends even the departure. */
  readonly signal: AbortSignal;
  /** The resignation of that number is known to be done. */
  readonly onDone: (request: number) => void;
}

/** Begins what the rules have decided; each answer comes back as an event of its own. */
export function performInSession(
  session: CandidateSession,
  effect: SessionEffect,
  departure: DepartureCare,
): void {
  switch (effect.type) {
    case 'grantLease':
      void session.grantLease();
      return;
    case 'putCandidateKey':
      void session.putKey();
      return;
    case 'keepAlive':
      void session.keepAlive(effect.timeoutMs);
      return;
    case 'confirm':
      void session.confirm(effect);
      return;
    case 'putChallenge':
      void session.challenge(effect);
      return;
    case 'readChallenge':
      void session.readChallenge(effect);
      return;
    case 'depose':
      void session.depose(effect);
      return;
    case 'sendCheck':
      void session.check(effect);
      return;
    case 'release': {
      const { request } = effect.ending;
      void session.release(effect.ending, departure.signal, (done) => {
        if (done && request !== null) departure.onDone(request);
      });
      return;
    }
  }
}

import type { ResourceManagerId } from '../core/ids.ts';
import { QuartermasterError, toProblem, type Problem } from '../core/problem.ts';
import type { LeaderElectionService } from '../ha/leader-election.ts';
import { STORE_FULL } from '../ha/store-space.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Peers } from './peers.ts';
import { SUSPENDED } from './term-context.ts';
import type { Term } from './term.ts';

/** How long work that is under way gets to come to its end, in milliseconds. */
const FINISH_MS = 500;
const FINISH_POLL_MS = 1;
/** How long one that led stays, once it has left the line, in milliseconds. */
const STAND_ASIDE_MS = 200;

/** What whoever asks for something new is told meanwhile. */
const HANDING_OVER: Problem = { code: 'SUSPENDED', detail: 'Leadership is being handed over.' };

export interface HandOverSurroundings {
  readonly clock: Clock;
  readonly election: LeaderElectionService;
  readonly logger: Logger;
  readonly peers: Peers;
  /** The present term; null while this process does not lead. */
  readonly term: () => Term | null;
  /** Whether the process is on its way out. */
  readonly stopping: () => boolean;
}

/** Gives leadership away in good order: nothing new is begun, what is under way comes to its end, then it resigns. */
export class HandOver {
  readonly #around: HandOverSurroundings;
  #underWay = false;

  constructor(surroundings: HandOverSurroundings) {
    this.#around = surroundings;
  }

  /** Why nothing new is begun; null when leadership is not being handed over. */
  get refusal(): Problem | null {
    return this.#underWay ? HANDING_OVER : null;
  }

  /** Stops taking and beginning work and lets what is under way come to its end, for a short while. */
  async finishWork(): Promise<void> {
    this.#underWay = true;
    const { clock, term } = this.#around;
    // Slots are freed all the time, and requests wait for them: without this there would be no end to it.
    term()?.driver.holdBack();
    const untilMs = clock.monotonicMs() + FINISH_MS;
    const working = (): boolean => term()?.idle === false;
    while (working() && clock.monotonicMs() < untilMs) {
      await new Promise<void>((resolve) => clock.schedule(FINISH_POLL_MS, resolve));
    }
  }

  /** Resigns, to the one named or to whoever is next. Rejects when that is refused, or nobody could be confirmed: then nothing has changed. */
  async resign(reason: string, to: ResourceManagerId | null): Promise<void> {
    try {
      const [problem] = await Promise.all([this.#around.election.whyNotResign(), this.finishWork()]);
      if (problem !== null) throw new QuartermasterError(problem);
      const term = this.#around.term();
      // Where etcd has stopped to answer meanwhile, the resignation would not be answered either.
      if (term !== null && !term.mayServe()) throw new QuartermasterError(SUSPENDED);
      await this.#around.election.resign(to === null ? { reason } : { reason, to });
    } finally {
      // A refused resignation has changed nothing; after any other the term is over.
      this.#underWay = this.#around.stopping();
      if (!this.#underWay) this.#around.term()?.driver.goOn();
    }
  }

  /** For one that goes: hands leadership to one that can take it, when the next in line cannot. Never rejects. */
  async passOver(reason: string): Promise<void> {
    const { election, logger, peers, term } = this.#around;
    if (term() !== null && election.storeFull) {
      // Whoever is taken out of the line could not join it again.
      return logger.log('error', 'leaves-nobody-to-lead', { reason, detail: STORE_FULL.detail });
    }
    const successor = peers.successor();
    if (term()?.mayServe() !== true || !('to' in successor) || successor.to === null) return;
    try {
      await election.resign({ reason, to: successor.to });
    } catch (error) {
      logger.log('info', 'hand-over-refused', { to: successor.to, error: toProblem(error).detail });
    }
  }

  /** Hanging up is work for everybody and for the machine: not in the moments in which the successor takes over. */
  standAside(): Promise<void> {
    return new Promise((resolve) => this.#around.clock.schedule(STAND_ASIDE_MS, resolve));
  }
}

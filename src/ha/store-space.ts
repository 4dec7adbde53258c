import type { Problem } from '../core/problem.ts';
import type { Logger } from '../runtime/logger.ts';

/** What cannot be done while the store is full, and what an operator does about it. */
export const STORE_FULL: Problem = {
  code: 'STORE_FULL',
  detail:
    'etcd is full: nobody can register and no leader can be confirmed until it has been compacted and ' +
    'defragmented and its NOSPACE alarm was disarmed.',
};

/** Whether the store takes writes, by the last answer that told. */
export class StoreSpace {
  readonly #logger: Logger;
  #full = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get full(): boolean {
    return this.#full;
  }

  /** A write was refused for want of space. */
  refused(): void {
    if (this.#full) return;
    this.#full = true;
    this.#logger.log('error', 'etcd-full', { detail: STORE_FULL.detail });
  }

  /** A write was taken, or would have been. */
  accepted(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#logger.log('info', 'etcd-takes-writes-again');
  }
}

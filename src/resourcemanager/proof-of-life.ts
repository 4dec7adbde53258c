import type { Problem } from '../core/problem.ts';
import { TERM_OVER, type TermContext } from './term-context.ts';
import type { WorkerConnection } from './worker-connection.ts';

const GONE: Problem = {
  code: 'UNAVAILABLE',
  detail: 'This process would put out another one, and does not answer whether it still runs itself.',
};

/** Who was known when the proof was asked for is not who stands there now: the proof says nothing against that one. */
export const OUT_OF_DATE: Problem = {
  code: 'UNAVAILABLE',
  detail: 'Another process of that name has registered meanwhile.',
};

/**
 * Asks the process behind a registration whether it still runs. Its words may have been on their way for long: a
 * network that was cut delivers them after its death, and after the registration of its successor.
 */
export class ProofOfLife {
  readonly #context: TermContext;
  /** What is asked, and who is told when the term ends first. */
  readonly #asked = new Map<object, (problem: Problem) => void>();

  constructor(context: TermContext) {
    this.#context = context;
  }

  /** Calls one of the two, once: `alive` in a turn of this term, when that connection has answered a question put now. */
  ask(connection: WorkerConnection | null, alive: () => void, failed: (problem: Problem) => void): void {
    if (connection === null) return failed(GONE);
    const { timing } = this.#context;
    const question = {};
    this.#asked.set(question, failed);
    connection.channel.request('ping', {}, timing.taskExecutorCallMs, (outcome) =>
      this.#context.post(() => {
        this.#asked.delete(question);
        // Whatever it answers, it lives.
        const isSilent = !outcome.ok && outcome.problem.code === 'NO_ANSWER';
        if (isSilent) failed(GONE);
        else alive();
      }),
    );
  }

  /** The term is over: nobody registers with it any more. */
  end(): void {
    const waiting = [...this.#asked.values()];
    this.#asked.clear();
    for (const failed of waiting) failed(TERM_OVER);
  }
}

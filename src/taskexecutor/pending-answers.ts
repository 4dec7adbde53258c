import type { Problem } from '../core/problem.ts';
import type { TaskExecutorEffect } from '../core/taskexecutor/task-executor-events.ts';
import type { InboundRequest } from '../rpc/message-channel.ts';

const MOST_PENDING = 10_000;

type Answer = Extract<TaskExecutorEffect, { readonly answerKey: number }>;

/** Requests that wait for the book's answer, by key. Bounded: more are answered `OVERLOADED`. */
export class PendingAnswers {
  readonly #requests = new Map<number, InboundRequest>();
  #nextKey = 1;

  /** Keeps the request until it is answered; null when it was refused, because too many wait. */
  add(request: InboundRequest): number | null {
    if (this.#requests.size >= MOST_PENDING) {
      request.fail({
        code: 'OVERLOADED',
        detail: `${MOST_PENDING} requests wait for an answer.`,
        retryAfterMs: 1_000,
      });
      return null;
    }
    const key = this.#nextKey++;
    this.#requests.set(key, request);
    return key;
  }

  /** Answers the request of that key. */
  answer(effect: Answer): void {
    const request = this.#requests.get(effect.answerKey);
    this.#requests.delete(effect.answerKey);
    if (request === undefined) return;
    if (effect.type === 'answerProblem') request.fail(effect.problem);
    else if (effect.type === 'answerClaim' && request.type === 'claimSlot') request.respond(effect.reply);
    else if (effect.type === 'answerRenewal' && request.type === 'renewLeases') request.respond(effect.reply);
    else if (effect.type === 'answerRelease' && request.type === 'releaseLeases') request.respond({});
    else if (effect.type === 'answerCommands' && request.type === 'executeSlotCommands')
      request.respond(effect.reply);
  }

  /** Answers all with that problem. */
  failAll(problem: Problem): void {
    for (const request of this.#requests.values()) request.fail(problem);
    this.#requests.clear();
  }
}

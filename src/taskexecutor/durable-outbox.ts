import type { PersistedPart } from '../core/taskexecutor/task-executor-events.ts';

interface Waiting<Effect> {
  readonly effect: Effect;
  /** The version of the state that must be durable before the effect. */
  readonly version: number;
}

export interface DurableOutboxOptions<Effect> {
  /** Makes the present state durable; null where there is nowhere to keep it. */
  readonly save: (() => Promise<void>) | null;
  /** Whether the effect speaks of the state, but may go before a token that was adopted is durable. */
  readonly maySurpassToken: (effect: Effect) => boolean;
  /** Carries one effect out; called in order. */
  readonly run: (effect: Effect) => void;
  /** Runs the continuation after a while: a token that nothing waits for is written with what comes next. */
  readonly later: (continuation: () => void) => void;
  /** Runs the continuation as an event of the endpoint. */
  readonly post: (continuation: () => void) => void;
  /** A save failed: nothing that waits for it will run. */
  readonly onError: (error: unknown) => void;
}

/**
 * Lets effects out, in order, once the state that they speak of is durable (guarantee G3). While one save is
 * under way the changes of all later events gather, and the next save covers them together.
 */
export class DurableOutbox<Effect> {
  readonly #options: DurableOutboxOptions<Effect>;
  #waiting: Waiting<Effect>[] = [];
  #changed = 0;
  /** The last change of more than the token. */
  #stateChanged = 0;
  #saved = 0;
  #saving = false;
  #closed = false;

  constructor(options: DurableOutboxOptions<Effect>) {
    this.#options = options;
  }

  /** How many effects wait for the disk. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Takes the effects of one event; `write` is what it changed that must be durable before they run, if anything. */
  push(effects: readonly Effect[], write: PersistedPart | null): void {
    if (this.#closed) return;
    if (write !== null && this.#options.save !== null) this.#changed += 1;
    if (write === 'state') this.#stateChanged = this.#changed;
    for (const effect of effects) {
      const version = this.#options.maySurpassToken(effect) ? this.#stateChanged : this.#changed;
      this.#waiting.push({ effect, version });
    }
    this.#flush();
    const held = effects.length > 0 && this.#waiting.at(-1)?.effect === effects.at(-1);
    if (write === 'token') this.#options.later(() => this.#save());
    else if (write === 'state' || held) this.#save();
  }

  /** Drops what waits. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  #flush(): void {
    const ready = this.#waiting.filter(({ version }) => version <= this.#saved);
    if (ready.length > 0) this.#waiting = this.#waiting.filter(({ version }) => version > this.#saved);
    for (const { effect } of ready) if (!this.#closed) this.#options.run(effect);
  }

  #save(): void {
    const { save, post, onError } = this.#options;
    if (save === null || this.#saving || this.#closed || this.#saved === this.#changed) return;
    this.#saving = true;
    const version = this.#changed;
    save().then(
      () =>
        post(() => {
          this.#saving = false;
          this.#saved = version;
          this.#flush();
          this.#save();
        }),
      (error: unknown) => {
        if (!this.#closed) onError(error);
      },
    );
  }
}

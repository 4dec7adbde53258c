interface Waiting<Effect> {
  readonly effect: Effect;
  /** The version of the state that must be durable before the effect. */
  readonly version: number;
}

export interface DurableOutboxOptions<Effect> {
  /** Makes the present state durable; null where there is nowhere to keep it. */
  readonly save: (() => Promise<void>) | null;
  /** Carries one effect out; called in order. */
  readonly run: (effect: Effect) => void;
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

  /** Takes the effects of one event; `changed` when the event changed what must be durable before they run. */
  push(effects: readonly Effect[], changed: boolean): void {
    if (this.#closed) return;
    if (changed && this.#options.save !== null) this.#changed += 1;
    for (const effect of effects) this.#waiting.push({ effect, version: this.#changed });
    this.#flush();
    this.#save();
  }

  /** Drops what waits. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  #flush(): void {
    const due = this.#waiting.findIndex(({ version }) => version > this.#saved);
    const ready = this.#waiting.splice(0, due === -1 ? this.#waiting.length : due);
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

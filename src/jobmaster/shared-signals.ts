/**
 * Users' signals, each with one listener however many requests share it: more than ten would be taken for a leak by
 * Node, which warns of it.
 */
export class SharedSignals {
  readonly #followers = new Map<AbortSignal, { readonly tell: () => void; readonly all: Set<() => void> }>();

  /** `onAbort` is called at most once, when the signal aborts, which it must not have done before. */
  follow(signal: AbortSignal, onAbort: () => void): void {
    let followers = this.#followers.get(signal);
    if (followers === undefined) {
      const all = new Set<() => void>();
      const tell = (): void => {
        this.#followers.delete(signal);
        for (const each of all) each();
      };
      followers = { tell, all };
      this.#followers.set(signal, followers);
      signal.addEventListener('abort', tell, { once: true });
    }
    followers.all.add(onAbort);
  }

  /** The signal is let go of with its last follower. */
  leave(signal: AbortSignal, onAbort: () => void): void {
    const followers = this.#followers.get(signal);
    if (followers === undefined) return;
    followers.all.delete(onAbort);
    if (followers.all.size > 0) return;
    this.#followers.delete(signal);
    signal.removeEventListener('abort', followers.tell);
  }
}

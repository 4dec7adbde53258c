import type { Clock, Timer } from '../../runtime/clock.ts';
import type { EtcdCluster } from '../cluster/etcd-cluster.ts';
import type { EtcdMember } from '../cluster/etcd-member.ts';

const POLL_MS = 200;

/** Tells of members of our etcd that die, and starts them again. */
export class EtcdWatch {
  readonly #etcd: EtcdCluster;
  readonly #clock: Clock;
  readonly #restartDelayMs: number | null;
  readonly #onEvent: (line: string) => void;
  readonly #down = new Set<EtcdMember>();
  readonly #restarts = new Set<Timer>();
  #poll: Timer | null = null;

  /** `restartDelayMs` null: they stay down. */
  constructor(
    etcd: EtcdCluster,
    clock: Clock,
    restartDelayMs: number | null,
    onEvent: (line: string) => void,
  ) {
    this.#etcd = etcd;
    this.#clock = clock;
    this.#restartDelayMs = restartDelayMs;
    this.#onEvent = onEvent;
    this.#look();
  }

  /** From now on members may end in peace. */
  stop(): void {
    this.#poll?.cancel();
    for (const timer of this.#restarts) timer.cancel();
  }

  #look(): void {
    this.#poll = this.#clock.schedule(POLL_MS, () => {
      for (const member of this.#etcd.members) {
        if (member.pid === null && !this.#down.has(member)) this.#lost(member);
      }
      this.#look();
    });
  }

  #lost(member: EtcdMember): void {
    this.#down.add(member);
    const delayMs = this.#restartDelayMs;
    const next = delayMs === null ? 'and stays down' : 'and is started again in a second';
    this.#onEvent(`etcd at ${member.url} has ended ${next}`);
    if (delayMs === null) return;
    const timer = this.#clock.schedule(delayMs, () => {
      this.#restarts.delete(timer);
      this.#down.delete(member);
      member.start();
      if (member.pid !== null) this.#onEvent(`etcd at ${member.url} runs again, process ${member.pid}`);
    });
    this.#restarts.add(timer);
  }
}

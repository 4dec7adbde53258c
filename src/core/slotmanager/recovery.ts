import type { ResourceId } from '../ids.ts';
import type { Turn } from './turn.ts';

/**
 * The time after a take-over in which the books are not complete. While it is active no container is asked
 * for: first the grace, until all task executors that etcd names have reported or its time is over; then, if
 * more than half of them are silent, the brake.
 */
export class Recovery {
  readonly #turn: Turn;
  readonly #graceUntilMs: number;
  readonly #brakeUntilMs: number;
  readonly #expected = new Set<ResourceId>();
  readonly #silent = new Set<ResourceId>();
  #phase: 'grace' | 'brake' | 'over' = 'grace';
  #scheduled = false;

  constructor(turn: Turn) {
    this.#turn = turn;
    this.#graceUntilMs = turn.nowMs + turn.settings.timing.graceMs;
    this.#brakeUntilMs = this.#graceUntilMs + turn.settings.brakeMs;
  }

  expect(resourceId: ResourceId): void {
    if (this.#phase === 'over') return;
    this.#expected.add(resourceId);
    this.#silent.add(resourceId);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#turn.due.schedule(this.#graceUntilMs, () => this.#endGrace());
  }

  heard(resourceId: ResourceId): void {
    if (this.#silent.delete(resourceId)) this.#look();
  }

  gone(resourceId: ResourceId): void {
    this.#expected.delete(resourceId);
    this.heard(resourceId);
  }

  active(): boolean {
    return this.#phase !== 'over' && this.#silent.size > 0;
  }

  view(): { silent: number; expected: number; braked: boolean; untilMs: number } | null {
    if (!this.active()) return null;
    const braked = this.#phase === 'brake';
    const untilMs = braked ? this.#brakeUntilMs : this.#graceUntilMs;
    return { silent: this.#silent.size, expected: this.#expected.size, braked, untilMs };
  }

  #mostAreSilent(): boolean {
    return this.#silent.size * 2 > this.#expected.size;
  }

  #look(): void {
    if (this.#phase === 'brake' && !this.#mostAreSilent()) this.#end('info', 'recoveryBrakeReleased');
    else if (this.#phase === 'grace' && this.#silent.size === 0)
      this.#turn.outbox.report('info', 'recoveryComplete', { expected: this.#expected.size });
  }

  #endGrace(): void {
    if (this.#phase !== 'grace') return;
    if (this.#silent.size === 0) {
      this.#phase = 'over';
    } else if (!this.#mostAreSilent()) {
      this.#end('warn', 'recoveryGraceOver');
    } else {
      this.#phase = 'brake';
      const { silent, expected } = this.#sizes();
      const untilMs = this.#brakeUntilMs;
      this.#turn.outbox.report('error', 'recoveryBraked', { silent, expected, untilMs });
      this.#turn.due.schedule(untilMs, () => {
        if (this.#phase === 'brake') this.#end('error', 'recoveryBrakeTimedOut');
      });
    }
  }

  #end(level: 'info' | 'warn' | 'error', event: string): void {
    this.#phase = 'over';
    this.#turn.outbox.report(level, event, this.#sizes());
  }

  #sizes(): { silent: number; expected: number } {
    return { silent: this.#silent.size, expected: this.#expected.size };
  }
}

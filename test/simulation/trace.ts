import { createHash, type Hash } from 'node:crypto';
import type { LogFields, Logger, LogLevel } from '../../src/runtime/logger.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Everything that happens in one simulation, in order: kept as text for a reader, and as a hash to compare runs. */
export class Trace {
  readonly #clock: VirtualClock;
  readonly #hash: Hash = createHash('sha256');
  readonly #most: number;
  readonly lines: string[] = [];
  count = 0;
  /** Is told each line of a log. */
  onLog: (who: string, event: string, fields: LogFields) => void = () => {};
  /** Lines that the hash has not been told of yet. */
  #pending = '';

  /** Keeps the last `most` lines; the hash covers all of them. */
  constructor(clock: VirtualClock, most = 200_000) {
    this.#clock = clock;
    this.#most = most;
  }

  add(who: string, what: string): void {
    const line = `${this.#clock.monotonicMs().toFixed(3)} ${who} ${what}`;
    this.#pending += `${line}\n`;
    if (this.#pending.length > 65_536) this.#settle();
    this.count += 1;
    this.lines.push(line);
    if (this.lines.length > 2 * this.#most) this.lines.splice(0, this.#most);
  }

  /** Hash of all lines so far. */
  digest(): string {
    this.#settle();
    return this.#hash.copy().digest('hex');
  }

  #settle(): void {
    this.#hash.update(this.#pending);
    this.#pending = '';
  }

  /** A logger that writes into the trace. */
  logger(who: string, fields: LogFields = {}): Logger {
    return {
      log: (level: LogLevel, event: string, more: LogFields = {}) => {
        this.onLog(who, event, more);
        const all = Object.entries({ ...fields, ...more })
          .filter(([, value]) => value !== undefined)
          .map(([name, value]) => `${name}=${String(value)}`)
          .join(' ');
        this.add(who, `${level} ${event} ${all}`);
      },
      child: (more: LogFields) => this.logger(who, { ...fields, ...more }),
    };
  }
}

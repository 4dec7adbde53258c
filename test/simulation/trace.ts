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

  /** Keeps the last `most` lines; the hash covers all of them. */
  constructor(clock: VirtualClock, most = 200_000) {
    this.#clock = clock;
    this.#most = most;
  }

  add(who: string, what: string): void {
    const line = `${this.#clock.monotonicMs().toFixed(3)} ${who} ${what}`;
    this.#hash.update(line).update('\n');
    this.count += 1;
    this.lines.push(line);
    if (this.lines.length > 2 * this.#most) this.lines.splice(0, this.#most);
  }

  /** Hash of all lines so far. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** A logger that writes into the trace. */
  logger(who: string, fields: LogFields = {}): Logger {
    return {
      log: (level: LogLevel, event: string, more: LogFields = {}) => {
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

import { createHash, type Hash } from 'node:crypto';
import type { LogFields, Logger, LogLevel } from '../../src/runtime/logger.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Everything that happens in one simulation, in order: kept as text for a reader, and as a hash to compare runs. */
export class Trace {
  readonly #clock: VirtualClock;
  readonly #hash: Hash = createHash('sha256');
  readonly #most: number;
  /** Settled lines, many in one text: as single strings they would be what a run keeps most of. */
  readonly #blocks: { readonly text: string; readonly lines: number }[] = [];
  #kept = 0;
  count = 0;
  /** Is told each line of a log. */
  onLog: (who: string, event: string, fields: LogFields) => void = () => {};
  /** Lines that the hash has not been told of yet. */
  #pending = '';
  #pendingLines = 0;

  /** Keeps at least the last `most` lines; the hash covers all of them. */
  constructor(clock: VirtualClock, most = 200_000) {
    this.#clock = clock;
    this.#most = most;
  }

  add(who: string, what: string): void {
    this.#pending += `${this.#clock.monotonicMs().toFixed(3)} ${who} ${what}\n`;
    this.#pendingLines += 1;
    this.count += 1;
    if (this.#pending.length > 65_536) this.#settle();
  }

  /** Those that are kept, in order. */
  lines(): string[] {
    this.#settle();
    return this.#blocks.flatMap(({ text }) => text.slice(0, -1).split('\n'));
  }

  /** Hash of all lines so far. */
  digest(): string {
    this.#settle();
    return this.#hash.copy().digest('hex');
  }

  #settle(): void {
    if (this.#pendingLines === 0) return;
    this.#hash.update(this.#pending);
    this.#blocks.push({ text: this.#pending, lines: this.#pendingLines });
    this.#kept += this.#pendingLines;
    this.#pending = '';
    this.#pendingLines = 0;
    for (
      let [first] = this.#blocks;
      first !== undefined && this.#kept - first.lines >= this.#most;
      [first] = this.#blocks
    ) {
      this.#blocks.shift();
      this.#kept -= first.lines;
    }
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

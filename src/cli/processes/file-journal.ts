import { openSync, writeSync } from 'node:fs';
import { toJson } from '../../rpc/wire-format.ts';
import type { Clock } from '../../runtime/clock.ts';
import { NO_JOURNAL, type Journal } from '../../runtime/journal.ts';
import type { LogFields } from '../../runtime/logger.ts';

/**
 * Adds one JSON line per event to a file, with the time of day in front. A line is with the operating system
 * when `record` returns, so that it outlives a kill of this process (not of the machine).
 */
export class FileJournal implements Journal {
  readonly #file: number;
  readonly #clock: Clock;

  /** Throws when the file cannot be opened for writing. */
  constructor(path: string, clock: Clock) {
    this.#file = openSync(path, 'a', 0o600);
    this.#clock = clock;
  }

  record(event: string, fields: LogFields & { readonly atMs: number }): void {
    const at = new Date(this.#clock.wallMs()).toISOString();
    writeSync(this.#file, `${toJson({ at, event, ...fields })}\n`);
  }
}

/** The journal that `--journal` names; none without it. */
export function journalAt(path: string | undefined, clock: Clock): Journal {
  return path === undefined ? NO_JOURNAL : new FileJournal(path, clock);
}

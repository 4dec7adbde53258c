import { openSync, writeSync } from 'node:fs';
import { QuartermasterError } from '../../core/problem.ts';
import { toJson } from '../../rpc/wire-format.ts';
import type { Clock } from '../../runtime/clock.ts';
import { NO_JOURNAL, type Journal } from '../../runtime/journal.ts';
import type { LogFields } from '../../runtime/logger.ts';

/**
 * Adds one JSON line per event to a file, with the time of day in front. A line is with the operating system
 * when `record` returns, so that it outlives a kill of this process (not of the machine).
 */
class FileJournal implements Journal {
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

/** The journal that `--journal` names; none without it. Throws `INVALID` when it cannot be written. */
export function journalAt(path: string | undefined, clock: Clock): Journal {
  if (path === undefined) return NO_JOURNAL;
  try {
    return new FileJournal(path, clock);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const detail = `The journal ${path} cannot be written: ${why}.`;
    throw new QuartermasterError(
      { code: 'INVALID', detail, fields: [{ field: 'journal', detail }] },
      { cause },
    );
  }
}

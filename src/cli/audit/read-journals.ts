import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ExecutorFacts, journalFacts, type MasterFacts } from '../../core/audit/journal-facts.ts';
import type { JournalsFacts } from '../../core/audit/audit.ts';
import { QuartermasterError } from '../../core/problem.ts';

/** All journals of a folder, and how much of them there was to read. */
export interface ReadJournals extends Omit<JournalsFacts, 'toleranceMs'> {
  readonly files: number;
  readonly lines: number;
  /** Lines that stand in another file too, as after a copy. */
  readonly repeatedLines: number;
  /** Last lines of files that a sudden end has cut off. */
  readonly tornLines: number;
  /** Lines within files that cannot be read. */
  readonly unreadableLines: number;
}

/**
 * Reads every file of the folder, not of folders in it. A line that cannot be read is counted and left out. Throws
 * `INVALID` when the folder or a file cannot be read, or holds no line of a journal.
 */
export async function readJournals(folder: string, signal: AbortSignal): Promise<ReadJournals> {
  const reading = new Reading();
  try {
    for (const file of filesOf(folder)) await reading.read(folder, file, signal);
  } catch (cause) {
    if (signal.aborted) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new QuartermasterError(
      { code: 'INVALID', detail: `The journals in ${folder} cannot be read: ${why}.` },
      { cause },
    );
  }
  if (reading.executors.length + reading.masters.length === 0) {
    throw new QuartermasterError({ code: 'INVALID', detail: `There is no journal in ${folder}.` });
  }
  return reading;
}

function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .toSorted();
}

class Reading implements ReadJournals {
  readonly executors: ExecutorFacts[] = [];
  readonly masters: MasterFacts[] = [];
  readonly gaps = new Map<string, number[]>();
  files = 0;
  lines = 0;
  repeatedLines = 0;
  tornLines = 0;
  unreadableLines = 0;
  readonly #seen = new Set<string>();

  async read(folder: string, file: string, signal: AbortSignal): Promise<void> {
    this.files += 1;
    const input = createReadStream(join(folder, file), { encoding: 'utf8', signal });
    let unread: number | null = null;
    let number = 0;
    try {
      for await (const text of createInterface({ input, crlfDelay: Infinity })) {
        number += 1;
        if (text === '') continue;
        this.lines += 1;
        // Only a last line can be cut off with nothing behind it.
        if (unread !== null) this.#gap(file, unread);
        unread = this.#take(text, file, number) ? null : number;
      }
    } finally {
      input.destroy();
    }
    if (unread !== null) this.tornLines += 1;
  }

  #take(text: string, file: string, line: number): boolean {
    const value = parse(text);
    const wallMs = typeof value?.['at'] === 'string' ? Date.parse(value['at']) : NaN;
    if (value === null || Number.isNaN(wallMs)) return this.#takeRest(text, file, line);
    if (this.#seen.has(text)) {
      this.repeatedLines += 1;
      return true;
    }
    this.#seen.add(text);
    const facts = journalFacts(value, { file, line, wallMs });
    if (facts.of === 'executor') this.executors.push(facts.facts);
    if (facts.of === 'master') this.masters.push(facts.facts);
    return facts.of !== 'unknown';
  }

  /** A process that was cut off within a line is followed, in the same line, by the first one of the next. */
  #takeRest(text: string, file: string, line: number): boolean {
    const start = text.lastIndexOf('{"at":');
    if (start <= 0) return false;
    this.#gap(file, line);
    return this.#take(text.slice(start), file, line);
  }

  #gap(file: string, line: number): void {
    this.unreadableLines += 1;
    const own = this.gaps.get(file);
    if (own === undefined) this.gaps.set(file, [line]);
    else own.push(line);
  }
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return Object.fromEntries(Object.entries(value));
  } catch {
    return null;
  }
}

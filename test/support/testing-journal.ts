import type { Journal } from '../../src/runtime/journal.ts';
import type { LogFields } from '../../src/runtime/logger.ts';

/** Keeps every line for the test to look at. */
export class TestingJournal implements Journal {
  readonly lines: { readonly event: string; readonly fields: LogFields }[] = [];

  record(event: string, fields: LogFields): void {
    this.lines.push({ event, fields });
  }

  /** The events, in order. */
  get events(): string[] {
    return this.lines.map((line) => line.event);
  }
}

import { closeSync, openSync, writeFileSync } from 'node:fs';
import { QuartermasterError } from '../../../core/problem.ts';

/** Returns what writes the file, in place of what was in it; throws `INVALID` when that cannot be done. */
export function openReport(file: string): (text: string) => void {
  try {
    // What is there stays until there is something better.
    closeSync(openSync(file, 'a'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const detail = `The report ${file} cannot be written: ${why}.`;
    throw new QuartermasterError(
      { code: 'INVALID', detail, fields: [{ field: 'report', detail }] },
      { cause },
    );
  }
  return (text) => writeFileSync(file, text);
}

import { mkdir, readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { QuartermasterError } from '../../core/problem.ts';

/** Makes a folder that only its owner may read; throws `INVALID` when there can be none. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const detail = `${folder} cannot be used as a data directory: ${why}.`;
    throw new QuartermasterError({ code: 'INVALID', detail }, { cause });
  }
}

/** What a plan file says; null when there is none. Throws `INVALID` when it cannot be read as one. */
export async function readPlan<Schema extends z.ZodType>(
  file: string,
  schema: Schema,
): Promise<z.output<Schema> | null> {
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    const detail = `${file} is damaged: remove its folder, or choose another data directory.`;
    throw new QuartermasterError({ code: 'INVALID', detail }, { cause });
  }
}

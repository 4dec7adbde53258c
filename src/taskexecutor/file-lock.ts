import { link, readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { QuartermasterError } from '../core/problem.ts';
import { livenessOf, ownIdentity, type ProcessIdentity } from './process-identity.ts';

const ownerSchema = z.object({
  pid: z.int().positive(),
  host: z.string(),
  bootId: z.string().nullable(),
  startTicks: z.string().nullable(),
}) satisfies z.ZodType<ProcessIdentity>;

const MOST_ATTEMPTS = 10;

let made = 0;

/**
 * Keeps a file to one process. The lock is a numbered file beside it, `<file>.lock-<n>`, that names its owner.
 * Who finds a dead owner creates the next number, which only one can; who creates one looks again for others,
 * so of two that race at least one sees the other and gives way.
 */
export class FileLock {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Rejects with `CONFLICT` when a process that lives, or may live on another machine, holds the file. */
  static async acquire(file: string): Promise<FileLock> {
    const own = await ownIdentity();
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const stale = await refuseIfHeld(file, own, null);
      const number = Math.max(0, ...stale) + 1;
      const path = `${file}.lock-${number}`;
      if (!(await create(path, own))) continue;
      try {
        await refuseIfHeld(file, own, number);
      } catch (error) {
        await remove(path);
        throw error;
      }
      for (const old of stale) await remove(`${file}.lock-${old}`);
      return new FileLock(path);
    }
    throw new QuartermasterError({
      code: 'CONFLICT',
      detail: `${file} is being opened by several processes at once.`,
    });
  }

  /** Lets the next process have the file. */
  async release(): Promise<void> {
    await remove(this.#path);
  }
}

/** The numbers of locks whose owners are dead; throws when there is another one. */
async function refuseIfHeld(file: string, own: ProcessIdentity, mine: number | null): Promise<number[]> {
  const stale: number[] = [];
  for (const number of await lockNumbers(file)) {
    if (number === mine) continue;
    const owner = await readOwner(`${file}.lock-${number}`);
    if (owner === 'gone') continue;
    const liveness = await livenessOf(owner, own);
    if (liveness === 'dead') {
      stale.push(number);
      continue;
    }
    const detail =
      liveness === 'alive'
        ? `${file} is in use by process ${owner.pid}. One state file belongs to one task executor process at a time.`
        : `${file} was locked by process ${owner.pid} on ${owner.host}, which cannot be asked from here. ` +
          `If it has ended, remove ${file}.lock-${number}.`;
    throw new QuartermasterError({ code: 'CONFLICT', detail });
  }
  return stale;
}

async function lockNumbers(file: string): Promise<number[]> {
  const prefix = `${basename(file)}.lock-`;
  const numbers = (await readdir(dirname(file)))
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((rest) => /^[1-9]\d*$/.test(rest));
  return numbers.map(Number).toSorted((a, b) => a - b);
}

async function readOwner(path: string): Promise<ProcessIdentity | 'gone'> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'gone';
    throw error;
  }
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new QuartermasterError(
      {
        code: 'CONFLICT',
        detail: `The lock ${path} cannot be read. If no task executor uses it, remove it.`,
      },
      { cause },
    );
  }
}

/** Complete or not at all; false when it is there already. */
async function create(path: string, own: ProcessIdentity): Promise<boolean> {
  const draft = join(dirname(path), `.${basename(path)}.${own.pid}.${(made += 1)}`);
  await writeFile(draft, JSON.stringify(own), { mode: 0o600 });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await remove(draft);
  }
}

async function remove(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** Whether it is an operating system's error with that code. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

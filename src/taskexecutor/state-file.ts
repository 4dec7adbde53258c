import { createHash } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { QuartermasterError } from '../core/problem.ts';
import { taskExecutorState, type TaskExecutorState } from '../core/taskexecutor/task-executor-state.ts';
import { toJson } from '../rpc/wire-format.ts';
import { FileLock, isErrno } from './file-lock.ts';
import { checkOwner, type OpenState, type StateOwner, type TaskExecutorStateStore } from './state-store.ts';

const FORMAT = 'quartermaster-task-executor-state';
const VERSION = 1;

const fileSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  /** SHA-256 of the state's JSON text. */
  checksum: z.string(),
  state: z.record(z.string(), z.unknown()),
});

/**
 * Keeps the state in one JSON file that is replaced as a whole: written beside it, flushed to the disk, renamed
 * over it. A crash leaves the old state or the new one, never a part. Locked while it is open.
 */
export class StateFile implements TaskExecutorStateStore {
  readonly #path: string;

  constructor(path: string) {
    this.#path = resolve(path);
  }

  async open(owner: StateOwner): Promise<OpenState> {
    const lock = await this.#lock();
    try {
      const state = await readState(this.#path);
      if (state !== null) checkOwner(state, owner, `The state file ${this.#path}`);
      return new OpenStateFile(this.#path, lock, state);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  async #lock(): Promise<FileLock> {
    try {
      return await FileLock.acquire(this.#path);
    } catch (error) {
      if (error instanceof QuartermasterError) throw error;
      throw unusable(`The state file ${this.#path} cannot be locked`, error);
    }
  }
}

class OpenStateFile implements OpenState {
  readonly state: TaskExecutorState | null;
  readonly #path: string;
  readonly #lock: FileLock;
  #lastSave: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(path: string, lock: FileLock, state: TaskExecutorState | null) {
    this.#path = path;
    this.#lock = lock;
    this.state = state;
  }

  save(state: TaskExecutorState): Promise<void> {
    if (this.#closed) return Promise.reject(unusable(`The state file ${this.#path} was closed`, undefined));
    const saved = this.#lastSave.then(() => replace(this.#path, encode(state)));
    this.#lastSave = saved.catch(() => {});
    return saved.catch((error: unknown) => {
      throw unusable(`The state file ${this.#path} cannot be written`, error);
    });
  }

  /** Waits for a save under way, so that it cannot overwrite what the next process writes. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#lastSave;
    await this.#lock.release();
  }
}

function encode(state: TaskExecutorState): string {
  const text = toJson(state);
  const head = { format: FORMAT, version: VERSION, checksum: checksumOf(text) };
  return `${JSON.stringify(head).slice(0, -1)},"state":${text}}\n`;
}

function checksumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function readState(path: string): Promise<TaskExecutorState | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw unusable(`The state file ${path} cannot be read`, error);
  }
  try {
    const file = fileSchema.parse(JSON.parse(text));
    if (checksumOf(JSON.stringify(file.state)) !== file.checksum) throw new Error('its checksum is wrong');
    return taskExecutorState.parse(file.state);
  } catch (error) {
    throw unusable(
      `The state file ${path} is damaged or not a task executor's state. Restore it; or remove it, and the slots ` +
        'are quarantined for one lease duration',
      error,
    );
  }
}

async function replace(path: string, text: string): Promise<void> {
  const next = `${path}.next`;
  const file = await open(next, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function unusable(sentence: string, cause: unknown): QuartermasterError {
  const why = cause instanceof Error ? ` (${cause.message.split('\n')[0]})` : '';
  return new QuartermasterError({ code: 'INVALID', detail: `${sentence}${why}.` }, { cause });
}

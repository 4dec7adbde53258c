import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { QuartermasterError } from '../core/problem.ts';
import { taskExecutorState, type TaskExecutorState } from '../core/taskexecutor/task-executor-state.ts';
import { toJson } from '../rpc/wire-format.ts';
import { FileLock, isErrno } from './file-lock.ts';
import { checkOwner, type OpenState, type StateOwner, type TaskExecutorStateStore } from './state-store.ts';

const FORMAT = 'quartermaster-task-executor-state';
const VERSION = 2;
/** A longer file is replaced by one that holds the newest state only, in bytes. */
const MOST_BYTES = 1024 * 1024;

const lineSchema = z.object({
  format: z.literal(FORMAT),
  // Version 1 was a file of one line.
  version: z.literal([1, VERSION]),
  /** SHA-256 of the state's JSON text. */
  checksum: z.string(),
  state: z.record(z.string(), z.unknown()),
});

/**
 * Keeps the state in one file of JSON lines, each a whole state; the last one counts. A save adds a line and flushes it
 * to the disk, which costs a quarter of replacing the file. The first save, and one that finds the file long, replaces it:
 * written beside it, flushed, renamed over it. A crash leaves the old state or the new one: a last line without its end
 * was never acknowledged, and is left out. Locked while it is open; another file put in its place meanwhile is replaced by
 * the next save.
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
  /** Of this process's own file; null until the first save, and after one that failed. */
  #file: FileHandle | null = null;
  #bytes = 0;
  #closed = false;

  constructor(path: string, lock: FileLock, state: TaskExecutorState | null) {
    this.#path = path;
    this.#lock = lock;
    this.state = state;
  }

  save(state: TaskExecutorState): Promise<void> {
    if (this.#closed) return Promise.reject(unusable(`The state file ${this.#path} was closed`, undefined));
    const saved = this.#lastSave.then(() => this.#save(Buffer.from(encode(state))));
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
    await this.#file?.close();
    await this.#lock.release();
  }

  async #save(line: Buffer): Promise<void> {
    const file = this.#file;
    this.#file = null;
    if (file !== null && (await this.#append(file, line))) {
      this.#file = file;
      return;
    }
    await file?.close();
    this.#file = await replace(this.#path, line);
    this.#bytes = line.length;
  }

  /** False when nothing was added: the file is long, or not the one any more that this process left. */
  async #append(file: FileHandle, line: Buffer): Promise<boolean> {
    if (this.#bytes + line.length > MOST_BYTES || !(await isAt(this.#path, file, this.#bytes))) return false;
    await file.appendFile(line);
    await file.datasync();
    this.#bytes += line.length;
    return true;
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
    const line = lineSchema.parse(JSON.parse(lastLine(text)));
    if (checksumOf(JSON.stringify(line.state)) !== line.checksum) throw new Error('its checksum is wrong');
    return taskExecutorState.parse(line.state);
  } catch (error) {
    throw unusable(
      `The state file ${path} is damaged or not a task executor's state. Remove it, and the slots are quarantined ` +
        'for one lease duration; an older copy in its place would be believed',
      error,
    );
  }
}

/** What stands behind the last end of a line is a save that was not finished. */
function lastLine(text: string): string {
  const end = text.lastIndexOf('\n');
  return text.slice(text.lastIndexOf('\n', end - 1) + 1, end + 1);
}

/** Whether the next process would find it: somebody may have removed, restored or cut the file while it was open. */
async function isAt(path: string, file: FileHandle, bytes: number): Promise<boolean> {
  const own = await file.stat({ bigint: true });
  try {
    const { ino, dev, size } = await stat(path, { bigint: true });
    return ino === own.ino && dev === own.dev && size === BigInt(bytes);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Returns the new file, open for more. */
async function replace(path: string, line: Buffer): Promise<FileHandle> {
  const next = `${path}.next`;
  const file = await open(next, 'w', 0o600);
  try {
    await file.writeFile(line);
    await file.sync();
    await rename(next, path);
    const directory = await open(dirname(path), 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}

function unusable(sentence: string, cause: unknown): QuartermasterError {
  const why = cause instanceof Error ? ` (${cause.message.split('\n')[0]})` : '';
  return new QuartermasterError({ code: 'INVALID', detail: `${sentence}${why}.` }, { cause });
}

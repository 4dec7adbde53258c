import { closeSync, openSync, readSync } from 'node:fs';
import { z } from 'zod';
import type { CommandRefusal } from '../../core/drill/drill-evidence.ts';
import { fencingToken, resourceId } from '../../core/messages/primitives.ts';

const written = { at: z.string(), atMs: z.number(), process: z.string(), resourceId };
const line = z.discriminatedUnion('event', [
  fencingToken.extend({ event: z.literal('grant'), ...written, allocationId: z.string() }),
  fencingToken.extend({ event: z.literal('command-refused'), ...written, code: z.string() }),
]);
type Line = z.output<typeof line>;

/** A slot that a task executor has granted. */
export interface SeenGrant {
  readonly allocationId: string;
  readonly generation: number;
  readonly epoch: bigint;
  /** When the task executor took the command in hand. */
  readonly atWallMs: number;
}

const CHUNK_BYTES = 1 << 20;

/** Follows the journals of task executors while they grow: which leader granted what, and what was refused. */
export class ExecutorTail {
  readonly grants: SeenGrant[] = [];
  readonly refusals: CommandRefusal[] = [];
  readonly #byAllocation = new Map<string, SeenGrant>();
  readonly #files: readonly { readonly path: string; offset: number; rest: string }[];
  /** Time of day less monotonic time of each process, the least that was seen: what is above it is lateness of writing. */
  readonly #offsets = new Map<string, number>();

  constructor(paths: readonly string[]) {
    this.#files = paths.map((path) => ({ path, offset: 0, rest: '' }));
  }

  /** The last grant for that allocation, as far as it was read. */
  grantOf(allocationId: string): SeenGrant | null {
    return this.#byAllocation.get(allocationId) ?? null;
  }

  /** Reads what was added since the last time. */
  read(): void {
    for (const file of this.#files) {
      const buffer = Buffer.alloc(CHUNK_BYTES);
      const handle = openSync(file.path, 'r');
      try {
        for (let bytes = -1; bytes !== 0; ) {
          bytes = readSync(handle, buffer, 0, CHUNK_BYTES, file.offset);
          file.offset += bytes;
          // Journals are ASCII but for names, of which none here has other letters.
          const lines = (file.rest + buffer.toString('latin1', 0, bytes)).split('\n');
          file.rest = lines.pop() ?? '';
          for (const text of lines) this.#take(text);
        }
      } finally {
        closeSync(handle);
      }
    }
  }

  #take(text: string): void {
    if (!text.includes('"grant"') && !text.includes('"command-refused"')) return;
    const parsed = line.safeParse(parse(text));
    if (!parsed.success) return;
    const entry = parsed.data;
    const { generation, epoch, leaderSessionId } = entry;
    const atWallMs = this.#takenInHand(entry);
    if (entry.event === 'grant') {
      const grant = { allocationId: entry.allocationId, generation, epoch, atWallMs };
      this.grants.push(grant);
      this.#byAllocation.set(entry.allocationId, grant);
    } else {
      const token = { generation, epoch, leaderSessionId };
      this.refusals.push({ resourceId: entry.resourceId, token, code: entry.code, atWallMs });
    }
  }

  #takenInHand({ at, atMs, process }: Line): number {
    const offset = Math.min(Date.parse(at) - atMs, this.#offsets.get(process) ?? Infinity);
    this.#offsets.set(process, offset);
    return offset + atMs;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

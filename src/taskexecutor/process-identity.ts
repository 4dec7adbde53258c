import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

/** One process of one machine, so that it can be told from a later one that got the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** New with each start of the machine; null where the system does not tell. */
  readonly bootId: string | null;
  /** When the process started, in ticks since the start of the machine; null where the system does not tell. */
  readonly startTicks: string | null;
}

/** `unknowable`: it ran on another machine, of which nothing is known here. */
export type Liveness = 'alive' | 'dead' | 'unknowable';

/** Of this process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  return {
    pid: process.pid,
    host: hostname(),
    bootId: await readBootId(),
    startTicks: await readStartTicks(process.pid),
  };
}

/** Whether that process still runs, as far as this machine can tell. */
export async function livenessOf(other: ProcessIdentity, own: ProcessIdentity): Promise<Liveness> {
  const sameBoot = other.bootId !== null && other.bootId === own.bootId;
  if (other.host !== own.host && !sameBoot) return 'unknowable';
  if (other.bootId !== null && own.bootId !== null && !sameBoot) return 'dead';
  if (!isRunning(other.pid)) return 'dead';
  if (other.startTicks === null) return 'alive';
  const startTicks = await readStartTicks(other.pid);
  return startTicks === null || startTicks === other.startTicks ? 'alive' : 'dead';
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

async function readBootId(): Promise<string | null> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch {
    return null;
  }
}

async function readStartTicks(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold blanks; the start time is the 20th field behind it.
    return (
      stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .at(19) ?? null
    );
  } catch {
    return null;
  }
}

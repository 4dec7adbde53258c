import { execFileSync } from 'node:child_process';
import { eventually } from './eventually.ts';

/** Stops a process by SIGSTOP and resolves when it stands still: it goes on until it gets its turn to stop, on a busy machine for a while. */
export async function standStill(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const state = (): string => execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  await eventually(`process ${pid} stands still`, () => state().trim().startsWith('T'));
}

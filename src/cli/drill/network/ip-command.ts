import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { QuartermasterError } from '../../../core/problem.ts';
import type { Environment } from '../../settings/command-settings.ts';

/** Where `ip` of iproute2 is, also when the search path leaves out the folders for root; null when it is nowhere. */
export function findIp(environment: Environment): string | null {
  const folders = [...(environment['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    if (folder === '') continue;
    try {
      const file = join(folder, 'ip');
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // The next one may have it.
    }
  }
  return null;
}

/**
 * Runs `ip` once, with these lines for `-batch -` if given; resolves to what it printed. Rejects with `UNAVAILABLE`
 * and its complaint when it fails. Ctrl-C on the terminal does not reach it.
 */
export function runIp(ip: string, args: readonly string[], lines: readonly string[] = []): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(ip, [...args], { stdio: ['pipe', 'pipe', 'pipe'], env: {}, detached: true });
    let output = '';
    let complaint = '';
    child.stdout.on('data', (text: Buffer) => (output += text.toString()));
    child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
    child.stdin.on('error', () => {});
    child.once('error', (error) => reject(failed(args, error.message)));
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(failed(args, complaint.trim()));
    });
    child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  });
}

function failed(args: readonly string[], why: string): QuartermasterError {
  return new QuartermasterError({ code: 'UNAVAILABLE', detail: `ip ${args.join(' ')} failed: ${why}` });
}

import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

/** Whether this user can make network namespaces here; tries it. */
export function canMakeNamespaces(): boolean {
  const name = `namespace-probe-${process.pid}`;
  if (process.platform !== 'linux' || process.geteuid?.() !== 0) return false;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return false;
  return spawnSync('ip', ['netns', 'delete', name]).status === 0;
}

/** Number of a process that has ended. */
export function deadPid(): number {
  return spawnSync('true').pid;
}

/** Names of the namespaces and links that the drill of this process has made and not removed. */
export function madeBy(pid: number): string[] {
  const shown = execFileSync('ip', ['-j', 'link', 'show'], { encoding: 'utf8' });
  const links = JSON.parse(shown) as { readonly ifname: string }[];
  return [
    ...namespaces().filter((name) => name.startsWith(`quartermaster-${pid}-`)),
    ...links.map(({ ifname }) => ifname).filter((name) => name === `qm${pid}`),
  ];
}

/** `ip netns list` complains of a namespace that is just being made or removed: it opens each of them. */
function namespaces(): string[] {
  try {
    return readdirSync('/var/run/netns');
  } catch (error) {
    // There has never been one.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Makes what a drill of that process would leave behind if it were killed. */
export function leaveBehind(pid: number): void {
  const hub = `quartermaster-${pid}-hub`;
  execFileSync('ip', ['netns', 'add', hub]);
  execFileSync('ip', ['link', 'add', `qm${pid}`, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', hub]);
}

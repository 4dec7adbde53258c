import { execFileSync, spawnSync } from 'node:child_process';

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
  const run = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
  const links = JSON.parse(run('-j', 'link', 'show')) as { readonly ifname: string }[];
  const namespaces = run('netns', 'list')
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '');
  return [
    ...namespaces.filter((name) => name.startsWith(`quartermaster-${pid}-`)),
    ...links.map(({ ifname }) => ifname).filter((name) => name === `qm${pid}`),
  ];
}

/** Makes what a drill of that process would leave behind if it were killed. */
export function leaveBehind(pid: number): void {
  const hub = `quartermaster-${pid}-hub`;
  execFileSync('ip', ['netns', 'add', hub]);
  execFileSync('ip', ['link', 'add', `qm${pid}`, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', hub]);
}

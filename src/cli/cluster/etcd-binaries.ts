import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { QuartermasterError } from '../../core/problem.ts';

/** Absolute paths of the two programs. */
export interface EtcdBinaries {
  readonly etcd: string;
  readonly etcdctl: string;
}

/** Where packages put them, for a PATH that is shorter than usual (cron, systemd, an editor). */
const USUAL_FOLDERS = [
  '/usr/bin',
  '/usr/sbin',
  '/usr/local/bin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
  '/home/linuxbrew/.linuxbrew/bin',
];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function find(program: string): string | undefined {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...path, ...USUAL_FOLDERS].map((folder) => join(folder, program)).find(isExecutable);
}

/** etcd and etcdctl of this machine; `NOT_FOUND`, with a sentence on how to get them, when one is missing. */
export function findEtcd(): EtcdBinaries {
  const etcd = find('etcd');
  const etcdctl = find('etcdctl');
  if (etcd !== undefined && etcdctl !== undefined) return { etcd, etcdctl };
  const missing = [etcd === undefined && 'etcd', etcdctl === undefined && 'etcdctl'].filter(Boolean);
  throw new QuartermasterError({
    code: 'NOT_FOUND',
    detail:
      `${missing.join(' and ')} not found: run deploy/install-etcd.sh, or install them with ` +
      '`apt-get install etcd-server etcd-client` (Debian), `brew install etcd` (macOS) or from ' +
      'https://github.com/etcd-io/etcd/releases.',
  });
}

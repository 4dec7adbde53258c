import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Report } from './claims.ts';
import type { System, Tell } from './system.ts';

const PROGRAM = fileURLToPath(new URL('./etcd3-candidate.js', import.meta.url));
/** etcd at its default settings grants no less. */
export const ETCD3_TTL_SECONDS = 2;

/** npm etcd3's own `Election` with three candidates; `resigns` gives them a handler for SIGTERM that resigns. */
export function etcd3Election(options: {
  readonly etcdUrls: readonly string[];
  readonly folder: string;
  readonly resigns: boolean;
}): System {
  const election = options.resigns ? 'bench-resigns' : 'bench';
  const candidates = ['1', '2', '3'].map((number) => `${election}-${number}`);
  return {
    name: options.resigns ? 'etcd3 + resign on SIGTERM' : 'etcd3 Election',
    electionPrefix: `election/${election}/`,
    candidates,
    takeOverLimitMs: 30_000,
    fences: false,
    claimsUntilItsEnd: false,
    specs: (tell) =>
      candidates.map((candidate) => ({
        name: candidate,
        program: process.execPath,
        args: [
          PROGRAM,
          options.etcdUrls.join(','),
          election,
          candidate,
          String(ETCD3_TTL_SECONDS),
          ...(options.resigns ? ['--resign'] : []),
        ],
        environment: process.env,
        logFile: join(options.folder, `${candidate}.log`),
        onLine: (line) => tellLine(candidate, line, tell),
      })),
    candidateOf: (value) => (candidates.includes(value) ? value : null),
    askForClaims: () => {},
    missing: () => Promise.resolve(null),
    termEnd: () => Promise.resolve(null),
  };
}

function tellLine(candidate: string, line: string, tell: Tell): void {
  const [kind, atMs] = line.split(' ');
  if (kind !== 'leads' && kind !== 'follows') throw new Error(`${candidate} says ${line}`);
  tell({ candidate, kind, atMs: Number(atMs) } satisfies Report);
}

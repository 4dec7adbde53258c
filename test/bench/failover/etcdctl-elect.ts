import { join } from 'node:path';
import { findEtcd } from '../../../src/cli/cluster/etcd-binaries.ts';
import { machineMs } from './machine-time.ts';
import type { Fault, System } from './system.ts';

/** Stock `etcdctl elect` with three candidates, in an election of its own for each fault: its rounds last a minute. */
export function etcdctlElect(options: {
  readonly etcdUrls: readonly string[];
  readonly folder: string;
  readonly fault: Fault;
}): System {
  const election = `bench-etcdctl-${options.fault}`;
  const candidates = ['1', '2', '3'].map((number) => `${election}-${number}`);
  const { etcdctl } = findEtcd();
  return {
    name: 'etcdctl elect',
    electionPrefix: `${election}/`,
    candidates,
    takeOverLimitMs: 150_000,
    fences: false,
    claimsUntilItsEnd: true,
    specs: (tell) =>
      candidates.map((candidate) => ({
        name: candidate,
        program: etcdctl,
        args: [`--endpoints=${options.etcdUrls.join(',')}`, 'elect', election, candidate],
        environment: { ...process.env, ETCDCTL_API: '3' },
        logFile: join(options.folder, `${candidate}.log`),
        // Key and proposal, each on a line, once it is elected.
        onLine: (line) => {
          if (line === candidate) tell({ candidate, kind: 'leads', atMs: machineMs() });
        },
      })),
    candidateOf: (value) => (candidates.includes(value) ? value : null),
    askForClaims: () => {},
    missing: () => Promise.resolve(null),
    termEnd: () => Promise.resolve(null),
  };
}

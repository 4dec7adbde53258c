import { join } from 'node:path';
import type { Timing } from '../../core/timing.ts';
import type { Environment } from '../settings/command-settings.ts';
import type { DevPlan } from './dev-plan.ts';
import { ownProcess } from '../cluster/own-process.ts';
import type { ProcessSpec } from '../cluster/process-supervisor.ts';

/** Name of the job that `dev` starts. */
export const DEMO_JOB = 'demo';

/** One process of the cluster and where it is reached; null for a job master, which nobody dials. */
export interface DevProcess {
  readonly role: 'resource-manager' | 'task-executor' | 'job-master';
  readonly id: string;
  readonly address: string | null;
  readonly spec: ProcessSpec;
}

export interface DevProcessOptions {
  readonly plan: DevPlan;
  readonly resourceManagers: number;
  readonly taskExecutors: number;
  /** Of each task executor. */
  readonly slots: number;
  /** 0: no job. */
  readonly jobSlots: number;
  readonly etcdUrls: readonly string[];
  /** For state files and logs. */
  readonly folder: string;
  readonly timing: Timing;
  readonly logLevel: string;
  readonly environment: Environment;
  readonly onJobLine: (line: string) => void;
}

/** Every process of the cluster but etcd, in the order in which they are started. */
export function devProcesses(options: DevProcessOptions): DevProcess[] {
  const { plan, folder } = options;
  const rmAddresses = addresses(plan.resourceManagers, options.resourceManagers);
  const teAddresses = addresses(plan.taskExecutors, options.taskExecutors);
  const { cluster } = plan;
  const { timing, logLevel, environment } = options;
  const common = { cluster, timing, logLevel, environment, folder };
  const seeds = `--resource-managers=${rmAddresses.join(',')}`;
  const make = (
    role: DevProcess['role'],
    id: string,
    address: string | null,
    flags: string[],
  ): DevProcess => {
    const lines = role === 'job-master' ? { onLine: options.onJobLine } : {};
    return { role, id, address, spec: ownProcess(common, { role, id, flags, ...lines }) };
  };
  const placed = (id: string, address: string): string[] => [`--id=${id}`, `--listen=${address}`];
  const etcd = `--etcd=${options.etcdUrls.join(',')}`;
  const processes = rmAddresses.map((address, index) => {
    const id = `rm-${index + 1}`;
    return make('resource-manager', id, address, [etcd, ...placed(id, address)]);
  });
  for (const [index, address] of teAddresses.entries()) {
    const id = `te-${index + 1}`;
    const state = `--state-file=${join(folder, `${id}.state`)}`;
    const flags = [seeds, ...placed(id, address), `--slots=${options.slots}`, state];
    processes.push(make('task-executor', id, address, flags));
  }
  if (options.jobSlots > 0) {
    const flags = [seeds, `--job=${DEMO_JOB}`, `--slots=${options.jobSlots}`];
    processes.push(make('job-master', DEMO_JOB, null, flags));
  }
  return processes;
}

function addresses(ports: readonly number[], count: number): string[] {
  return ports.slice(0, count).map((port) => `127.0.0.1:${port}`);
}

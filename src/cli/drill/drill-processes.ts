import { join } from 'node:path';
import { ownProcess, type OwnCluster } from '../cluster/own-process.ts';
import type { ProcessSpec } from '../cluster/process-supervisor.ts';

/** Name of the job that runs as a process of its own. */
export const JOB_PROCESS = 'jm-1';
/** Slots that each such job holds for the whole drill. */
export const JOB_PROCESS_SLOTS = 1;

/** Task executors for the load, and one for the job that is a process: neither takes the other's slots. */
export const TASK_EXECUTORS = [
  { id: 'te-1', slots: 3, offer: 'load' },
  { id: 'te-2', slots: 3, offer: 'load' },
  { id: 'te-3', slots: 8, offer: 'job' },
] as const;
export const RESOURCE_MANAGERS = ['rm-1', 'rm-2', 'rm-3'] as const;

/** What a slot for the load offers, and what the load asks for. */
export const LOAD_PROFILE = { cpuCores: 1, memoryMB: 128, extended: { load: 1 } };

/** Where a resource manager listens, is reached and finds etcd, each perhaps through a proxy. */
export interface ResourceManagerPlace {
  readonly id: string;
  readonly listen: string;
  readonly advertise: string;
  readonly etcdUrls: readonly string[];
  /** Where a debugger may open; null where none ever does. */
  readonly inspect: string | null;
}

export interface DrillProcessOptions {
  readonly common: OwnCluster;
  readonly resourceManagers: readonly ResourceManagerPlace[];
  /** Where each of `TASK_EXECUTORS` listens. */
  readonly taskExecutorAddresses: readonly string[];
  /** Names of the jobs that are processes. */
  readonly jobs: readonly string[];
  /** Folder of journals. */
  readonly journals: string;
  readonly onJobLine: (line: string) => void;
}

/** The journal of that process. */
export function journalOf(journals: string, id: string): string {
  return join(journals, `${id}.jsonl`);
}

/** How each process of a drill's cluster but etcd is started, in that order. */
export function drillProcesses(options: DrillProcessOptions): ProcessSpec[] {
  const { common, resourceManagers, taskExecutorAddresses, journals, jobs } = options;
  const seeds = `--resource-managers=${resourceManagers.map(({ advertise }) => advertise).join(',')}`;
  const specs = resourceManagers.map(({ id, listen, advertise, etcdUrls, inspect }) =>
    ownProcess(common, {
      role: 'resource-manager',
      id,
      flags: [`--id=${id}`, `--listen=${listen}`, `--advertise=${advertise}`, `--etcd=${etcdUrls.join(',')}`],
      nodeFlags: inspect === null ? [] : [`--inspect-port=${inspect}`],
    }),
  );
  for (const [index, { id, slots, offer }] of TASK_EXECUTORS.entries()) {
    const flags = [
      seeds,
      `--id=${id}`,
      `--listen=${taskExecutorAddresses[index]}`,
      `--slots=${slots}`,
      `--extended=${offer}=1`,
      `--state-file=${join(common.folder, `${id}.state`)}`,
      `--journal=${journalOf(journals, id)}`,
    ];
    specs.push(ownProcess(common, { role: 'task-executor', id, flags }));
  }
  for (const id of jobs) {
    const flags = [
      seeds,
      `--job=${id}`,
      `--slots=${JOB_PROCESS_SLOTS}`,
      '--memory=128',
      '--extended=job=1',
      `--journal=${journalOf(journals, id)}`,
    ];
    specs.push(ownProcess(common, { role: 'job-master', id, flags, onLine: options.onJobLine }));
  }
  return specs;
}

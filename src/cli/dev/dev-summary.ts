import type { Leader } from '../client/leader-watch.ts';
import { formatTable } from '../table.ts';
import { DEMO_JOB } from './dev-processes.ts';
import type { DevCluster } from './dev-cluster.ts';

/** What `dev --json` prints when all is up. */
export function devJson(cluster: string, dev: DevCluster): string {
  return JSON.stringify({
    cluster,
    etcd: dev.etcdUrls,
    resourceManagers: dev.processes('resource-manager'),
    taskExecutors: dev.processes('task-executor'),
    jobMasters: dev.processes('job-master').map(({ id, pid }) => ({ jobId: id, pid })),
    // Where a browser finds the page; null while there is none.
    dashboard: null,
  });
}

/** What `dev` shows a person when all is up. */
export function devText(cluster: string, dev: DevCluster, leader: Leader | null): string {
  const rows = [
    ...dev.etcdUrls.map((url) => ['etcd', '', url, '']),
    ...dev
      .processes('resource-manager')
      .map((each) => [
        each.id === leader?.resourceManagerId ? 'resource manager, leads' : 'resource manager',
        each.id,
        each.address,
        `process ${each.pid}`,
      ]),
    ...dev
      .processes('task-executor')
      .map((each) => ['task executor', each.id, each.address, `process ${each.pid}`]),
    ...dev.processes('job-master').map((each) => ['job', each.id, '', `process ${each.pid}`]),
  ];
  const [head = [], ...others] = rows;
  return [
    `Cluster ${cluster} is up. Ctrl-C ends all of it.`,
    '',
    formatTable(head, others),
    '',
    slotsLine(dev),
    `Logs are in ${dev.folder}`,
    '',
    'Try, in another terminal:',
    ...tryLines(cluster, dev, leader).map((line) => `  ${line}`),
    '',
  ].join('\n');
}

function slotsLine(dev: DevCluster): string {
  const held = dev.heldSlots;
  return held.length === 0
    ? 'No job holds a slot.'
    : `Job ${DEMO_JOB} holds ${held.length} ${held.length === 1 ? 'slot' : 'slots'}: ${held.join(', ')}`;
}

function tryLines(cluster: string, dev: DevCluster, leader: Leader | null): string[] {
  const leaderPid = dev.processes('resource-manager').find(({ id }) => id === leader?.resourceManagerId)?.pid;
  return [
    `export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=${dev.etcdUrls.join(',')}`,
    `etcdctl elect -l /quartermaster/${cluster}/election`,
    `etcdctl get --prefix /quartermaster/${cluster}/`,
    'etcdctl lease list',
    `alias quartermaster='node ${process.argv[1] ?? 'dist/src/cli/main.js'}'`,
    ...['status', 'slots', 'leader --watch', 'step-down', 'task-executor', 'job-master --slots 3'].map(
      (command) => `quartermaster ${command}`,
    ),
    ...(typeof leaderPid === 'number' ? [`kill -9 ${leaderPid}`] : []),
  ];
}

import { EtcdCluster } from '../../src/cli/cluster/etcd-cluster.ts';

// A program that starts an etcd, says where, and waits to be killed.
const cluster = await EtcdCluster.start();
const { pid, url } = cluster.members[0] ?? { pid: null, url: '' };
process.stdout.write(`${JSON.stringify({ pid, url, folder: cluster.folder })}\n`);
setInterval(() => {}, 60_000);

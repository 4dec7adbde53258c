import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EtcdCluster, type EtcdClusterOptions } from '../../src/cli/cluster/etcd-cluster.ts';
import { freePorts } from '../../src/cli/cluster/free-ports.ts';
import { QuartermasterError } from '../../src/core/problem.ts';
import { EtcdCoordinationStore } from '../../src/ha/etcd/etcd-coordination-store.ts';
import { SystemClock } from '../../src/runtime/system-clock.ts';
import { eventually } from '../support/eventually.ts';

const FAST = { heartbeatIntervalMs: 20, electionTimeoutMs: 200 };

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('an etcd of our own', function () {
  this.timeout(40_000);
  const clusters: EtcdCluster[] = [];
  const folders: string[] = [];

  async function start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const cluster = await EtcdCluster.start({ ...FAST, ...options });
    clusters.push(cluster);
    return cluster;
  }

  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'quartermaster-test-'));
    folders.push(path);
    return path;
  }

  async function withStore<T>(
    cluster: EtcdCluster,
    use: (store: EtcdCoordinationStore) => Promise<T>,
  ): Promise<T> {
    const store = new EtcdCoordinationStore({ endpoints: cluster.urls, clock: new SystemClock() });
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  }

  function put(cluster: EtcdCluster, key: string): Promise<unknown> {
    const success = [{ type: 'put', key, value: 'x' }] as const;
    return withStore(cluster, (store) =>
      store.endpoints[0].transact({ compare: [], success, failure: [] }, 5_000),
    );
  }

  async function has(cluster: EtcdCluster, key: string): Promise<boolean> {
    const result = await withStore(cluster, (store) =>
      store.endpoints[0].range({ type: 'range', key }, 5_000),
    );
    return result.keyValues.length === 1;
  }

  afterEach(async () => {
    await Promise.all(clusters.splice(0).map((cluster) => cluster.stop()));
    for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
  });

  it('answers as soon as it is started, and leaves neither a process nor a file', async () => {
    const cluster = await start({ members: 3 });
    expect(cluster.urls).to.have.length(3);
    await put(cluster, 'a');
    const pids = cluster.members.map((member) => member.pid ?? 0);
    expect(pids.every(isAlive)).to.equal(true);
    expect(existsSync(cluster.folder)).to.equal(true);
    cluster.members[1]?.kill('SIGSTOP');
    await cluster.stop();
    expect(pids.some(isAlive)).to.equal(false);
    expect(existsSync(cluster.folder)).to.equal(false);
    await cluster.stop();
  });

  it('keeps its data and its URLs in a data directory', async () => {
    const dataDir = folder();
    const first = await start({ dataDir });
    await put(first, 'kept');
    await first.stop();
    const second = await start({ dataDir });
    expect(second.urls).to.deep.equal(first.urls);
    expect(await has(second, 'kept')).to.equal(true);
  });

  it('refuses a data directory of another number of members', async () => {
    const dataDir = folder();
    await (await start({ dataDir })).stop();
    const error = await start({ dataDir, members: 3 }).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(QuartermasterError).with.property('code', 'CONFLICT');
  });

  it('names the port of a data directory that another process holds', async () => {
    const dataDir = folder();
    const first = await start({ dataDir });
    await first.stop();
    const port = Number(new URL(first.urls[0] ?? '').port);
    const squatter = createServer().listen(port, '127.0.0.1');
    await new Promise((resolve) => squatter.once('listening', resolve));
    const error = await start({ dataDir }).catch((reason: unknown) => reason);
    squatter.close();
    expect(error).to.be.instanceOf(QuartermasterError).with.property('code', 'CONFLICT');
    expect(String(error)).to.include(String(port));
  });

  it('takes other ports when one is lost to somebody else before it is bound, even to an etcd', async () => {
    const other = await start();
    const lost = Number(new URL(other.urls[0] ?? '').port);
    let asked = 0;
    const cluster = await start({
      choosePorts: async (count) => {
        const ports = await freePorts(count);
        asked += 1;
        return asked === 1 ? [lost, ...ports.slice(1)] : ports;
      },
    });
    expect(asked).to.equal(2);
    expect(cluster.urls).to.not.deep.equal(other.urls);
    await put(cluster, 'mine');
    expect(await has(other, 'mine')).to.equal(false);
  });

  it('takes other ports for a new data directory, too', async () => {
    const other = await start();
    const lost = Number(new URL(other.urls[0] ?? '').port);
    const dataDir = folder();
    let asked = 0;
    const choosePorts = async (count: number): Promise<number[]> => {
      const ports = await freePorts(count);
      asked += 1;
      return asked === 1 ? [lost, ...ports.slice(1)] : ports;
    };
    const first = await start({ dataDir, choosePorts });
    await put(first, 'kept');
    await first.stop();
    const second = await start({ dataDir, choosePorts });
    expect(asked).to.equal(2);
    expect(await has(second, 'kept')).to.equal(true);
  });

  it('starts a member again that was killed, on its data', async () => {
    const cluster = await start();
    await put(cluster, 'kept');
    const [member] = cluster.members;
    if (member === undefined) throw new Error('no member');
    const before = member.pid;
    await member.crash();
    expect(member.pid).to.equal(null);
    expect(member.kill('SIGCONT')).to.equal(false);
    await cluster.restart(member);
    expect(member.pid).to.not.equal(before);
    expect(await has(cluster, 'kept')).to.equal(true);
  });

  it('says in the words of etcd why it cannot start', async () => {
    const error = await start({ heartbeatIntervalMs: 100, electionTimeoutMs: 100 }).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(QuartermasterError).with.property('code', 'UNAVAILABLE');
    expect(String(error)).to.include('election-timeout');
  });

  it('does not outlive a parent that is killed', async () => {
    const program = fileURLToPath(new URL('../support/etcd-holder.js', import.meta.url));
    const parent = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    parent.stdout.on('data', (text: Buffer) => {
      output += text.toString();
    });
    await eventually('etcd is up', () => output.includes('\n'));
    const { pid, folder: data } = JSON.parse(output) as { pid: number; folder: string };
    expect(isAlive(pid)).to.equal(true);
    parent.kill('SIGKILL');
    await eventually('etcd is gone', () => !isAlive(pid));
    await eventually('its data are gone', () => !existsSync(data));
  });
});

import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { ProcessCluster } from '../support/process-cluster.ts';

describe('a cluster whose etcd wants to know who asks', function () {
  this.timeout(120_000);
  let folder: string;
  let cluster: ProcessCluster | null = null;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'qm-jwt-'));
    const pem = (name: string): string => join(folder, name);
    execFileSync('openssl', ['genrsa', '-out', pem('key.pem'), '2048'], { stdio: 'ignore' });
    execFileSync('openssl', ['rsa', '-in', pem('key.pem'), '-pubout', '-out', pem('pub.pem')], {
      stdio: 'ignore',
    });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(async () => {
    await cluster?.stop();
    cluster = null;
  });

  function enableAuthentication(started: ProcessCluster): void {
    for (const name of ['root', 'app']) {
      started.etcdctl(['user', 'add', `${name}:secret`]);
      started.etcdctl(['role', 'add', name]);
      started.etcdctl(['user', 'grant-role', name, name]);
    }
    started.etcdctl(['role', 'grant-permission', 'app', '--prefix=true', 'readwrite', started.prefix]);
    started.etcdctl(['auth', 'enable']);
    started.etcdctlFlags = ['--user=root:secret'];
  }

  it('keeps its leader, whose checks never fail, though each token lasts for three seconds', async () => {
    const [publicKey, privateKey] = ['pub.pem', 'key.pem'].map((name) => join(folder, name));
    const started = await ProcessCluster.start({
      etcd: {
        extraFlags: {
          'auth-token': `jwt,pub-key=${publicKey},priv-key=${privateKey},sign-method=RS256,ttl=3s`,
        },
      },
      resourceManagerFlags: ['--etcd-user=app', '--log-level=debug'],
      resourceManagerEnvironment: { QUARTERMASTER_ETCD_PASSWORD: 'secret' },
      beforeProcesses: enableAuthentication,
    });
    cluster = started;
    const term = await started.leader();
    const job = await started.holder('held');
    const startMs = performance.now();
    await eventually('two tokens have expired', () => performance.now() - startMs > 6_500);
    expect(await started.leader()).to.deep.equal(term);
    expect(job.jsonLines).to.have.length(1);
    const another = await started.register('another');
    await another.close();
    const lines = started.resourceManagers.get(term.resourceManagerId)?.stderr.split('\n') ?? [];
    const refused = lines.filter((line) => line.includes('"check failed"') && line.includes('stale'));
    expect(refused).to.deep.equal([]);
  });
});

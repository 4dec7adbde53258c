import { expect } from 'chai';
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { findEtcd } from '../../../src/cli/cluster/etcd-binaries.ts';
import { EtcdCluster } from '../../../src/cli/cluster/etcd-cluster.ts';
import { EtcdCoordinationStore } from '../../../src/ha/etcd/etcd-coordination-store.ts';
import { etcdHighAvailability } from '../../../src/ha/etcd/etcd-high-availability.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import {
  ElectionScene,
  type HighAvailabilityUnderTest,
  type Participant,
  TEST_TIMING,
} from '../../contract/high-availability-under-test.ts';
import { eventually } from '../../support/eventually.ts';

const run = promisify(execFile);

describe('election on an etcd of three members', function () {
  this.timeout(60_000);
  const clock = new SystemClock();
  let etcd: EtcdCluster;
  let scene: ElectionScene;
  let leader: Participant;
  let clusters = 0;

  before(async () => {
    etcd = await EtcdCluster.start({ members: 3, heartbeatIntervalMs: 20, electionTimeoutMs: 200 });
  });

  after(() => etcd.stop());

  beforeEach(async () => {
    clusters += 1;
    const endpoints = etcd.urls;
    const under: HighAvailabilityUnderTest = {
      clock,
      timing: TEST_TIMING,
      services: (options) => etcdHighAvailability({ ...options, endpoints }),
      operator: () => new EtcdCoordinationStore({ endpoints, clock }),
      until: (what, condition, limitMs) => eventually(what, condition, limitMs),
      answer: (call) => call,
      stop: () => Promise.resolve(),
    };
    scene = new ElectionScene(under, `integration-${clusters}`, clusters);
    leader = await scene.join('rm-1');
    await scene.untilLeads(leader);
    await scene.join('rm-2');
  });

  afterEach(async () => {
    for (const member of etcd.members) member.kill('SIGCONT');
    for (const member of etcd.members) await etcd.restart(member);
    await scene.end();
  });

  const serving = (): boolean => leader.contender.leadership?.mayServe() === true;

  async function etcdctl(...commands: string[]): Promise<string> {
    const flags = [`--endpoints=${etcd.urls.join(',')}`, ...commands];
    const { stdout } = await run(findEtcd().etcdctl, flags, { env: { ETCDCTL_API: '3' } });
    return stdout;
  }

  /** What `etcdctl elect -l` prints first: it goes on until it is ended. */
  async function electedKey(): Promise<string> {
    const flags = [`--endpoints=${etcd.urls[0]}`, 'elect', '-l', scene.keys.election.slice(0, -1)];
    const child = spawn(findEtcd().etcdctl, flags, { env: { ETCDCTL_API: '3' } });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
    });
    try {
      await eventually('etcdctl names a leader', () => output.split('\n').length > 2);
    } finally {
      child.kill('SIGKILL');
    }
    return output.split('\n')[0] ?? '';
  }

  it('shows its leader to etcdctl elect -l, and its keys to lease timetolive', async () => {
    const [head] = await scene.line();
    expect(await electedKey()).to.equal(head?.key);
    const lease = await etcdctl('lease', 'timetolive', head!.lease.toString(16), '--keys');
    expect(lease).to.include(head!.key).and.include(scene.keys.leader).and.include('granted with TTL(3s)');
    await scene.answer(leader.election.resign({ reason: 'asked' }));
    await scene.untilLeads(scene.participants[1]!);
    expect(await electedKey()).to.equal((await scene.line())[0]?.key);
  });

  it('changes the leader when etcdctl revokes its lease', async () => {
    const [head] = await scene.line();
    await etcdctl('lease', 'revoke', head!.lease.toString(16));
    await scene.untilLeads(scene.participants[1]!);
    expect(serving()).to.equal(false);
  });

  it('is suspended while two members are stopped, whatever the third says, and then serves the same term', async () => {
    const { leadership } = leader.contender;
    for (const member of etcd.members.slice(0, 2)) member.kill('SIGSTOP');
    await scene.until('it is suspended', () => !serving(), 2_000);
    await scene.until('its contender is told', () => leader.contender.calls.at(-1) === 'suspended');
    // Its checks go on reaching the member that is left.
    const calls = leader.contender.calls.length;
    const endMs = clock.monotonicMs() + 1_000;
    await scene.until('a second has passed', () => clock.monotonicMs() > endMs);
    expect(serving()).to.equal(false);
    expect(leader.contender.calls).to.have.length(calls);
    for (const member of etcd.members) member.kill('SIGCONT');
    await scene.until('it serves again', serving);
    expect(leader.contender.leadership).to.equal(leadership);
  });

  it('keeps its term when any one member is killed', async () => {
    const { leadership } = leader.contender;
    for (const member of etcd.members) {
      await member.crash();
      await scene.until('it serves', serving);
      await etcd.restart(member);
    }
    await scene.until('it serves', serving);
    expect(leader.contender.leadership).to.equal(leadership);
    expect(leader.contender.terms).to.have.length(1);
  });
});

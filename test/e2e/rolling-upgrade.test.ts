import { expect } from 'chai';
import { eventually } from '../support/eventually.ts';
import { BuiltVersion } from '../support/next-version.ts';
import { UpgradeCluster, type RunningProcess } from '../support/upgrade-cluster.ts';
import type { SlotLoad } from '../support/slot-load.ts';

const MANAGERS = [0, 1, 2];

describe('an upgrade, process by process, under load', function () {
  this.timeout(240_000);
  let cluster: UpgradeCluster;
  let managers: RunningProcess[];
  const versions: BuiltVersion[] = [];
  const loads: SlotLoad[] = [];

  before(async () => {
    cluster = await UpgradeCluster.start();
    managers = MANAGERS.map((n) => cluster.resourceManager(n));
    for (const n of [0, 1]) cluster.taskExecutor(n, 6);
    await cluster.settled(2);
  });
  after(async () => {
    await cluster.end();
    for (const version of versions) version.remove();
  });
  afterEach(async () => {
    for (const load of loads.splice(0)) await load.end();
  });

  async function start(jobId: string, version?: BuiltVersion): Promise<SlotLoad> {
    const load = await cluster.load(jobId, { held: 3, workers: 3 }, version);
    loads.push(load);
    return load;
  }

  /** Ends each resource manager in turn by SIGTERM and starts it again in that version. */
  async function replaceAll(version?: BuiltVersion): Promise<void> {
    for (const n of MANAGERS) {
      expect(await managers[n]!.end('SIGTERM')).to.deep.equal({ code: 0, signal: null });
      managers[n] = cluster.resourceManager(n, version);
      await cluster.ready(managers[n]!);
      await cluster.settled(2);
    }
  }

  async function untroubled(...of: readonly SlotLoad[]): Promise<void> {
    for (const load of of) {
      await load.end();
      loads.splice(loads.indexOf(load), 1);
      expect(load.troubles).to.deep.equal([]);
      expect(load.granted).to.be.greaterThan(0);
    }
  }

  it('of the resource managers to the same version fails no call of the SDK and loses no lease', async () => {
    const load = await start('same');
    await replaceAll();
    await untroubled(load);
  });

  it('to the next protocol version and back works with workers of either', async () => {
    const next = BuiltVersion.later(1);
    versions.push(next);
    const old = await start('old');
    await replaceAll(next);
    const fresh = cluster.taskExecutor(2, 6, next);
    await cluster.registered(3);
    const young = await start('young', next);
    await replaceAll();
    await untroubled(old, young);
    expect(await fresh.end()).to.deep.equal({ code: 0, signal: null });
  });

  it('by two versions is refused, by both sides, once in the log, and changes nothing', async () => {
    const tooFar = BuiltVersion.later(2);
    versions.push(tooFar);
    const load = await start('stays');
    const leader = await cluster.leader();
    await managers[2]!.end();
    managers[2] = cluster.resourceManager(2, tooFar, '--log-level=debug');
    const executor = cluster.taskExecutor(3, 1, tooFar, '--log-level=debug');
    // It goes on trying for as long: the resource manager of its own version does not refuse it.
    const size = { held: 0, workers: 0, registerWithinMs: 5_000 };
    const refusal = cluster.load('too-far', size, tooFar).then(
      () => 'none',
      (error: unknown) => String(error),
    );
    for (const process of [managers[2], executor]) {
      // Refused often enough that whoever says it at each attempt says it again.
      await eventually('it was refused often', () => {
        const ended = process.log.filter(({ event }) => event === 'resource-manager-connection-ended');
        return ended.filter(({ detail }) => String(detail).includes('speaks protocol version')).length >= 6;
      });
      const told = process.log.filter(
        ({ level, detail }) => level !== 'debug' && String(detail).includes('speaks protocol version'),
      );
      const where = told.map(({ address, event }) => `${String(event)} ${String(address)}`);
      expect(where, process.text).to.have.length(new Set(where).size);
      expect(where.length).to.be.greaterThan(0);
    }
    expect(await refusal).to.match(/UNSUPPORTED_VERSION.* 2 to 3.* 1/);
    expect(await cluster.leader(managers.slice(0, 2))).to.equal(leader === 'rm-3' ? 'rm-1' : leader);
    await untroubled(load);
  });
});

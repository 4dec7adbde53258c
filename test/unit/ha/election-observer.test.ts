import { expect } from 'chai';
import type { Participant } from '../../contract/high-availability-under-test.ts';
import { SimulatedElection } from '../../support/simulated-election.ts';

describe('election observer', () => {
  let simulated: SimulatedElection;
  let standby: Participant;

  beforeEach(async () => {
    simulated = new SimulatedElection();
    await simulated.leader();
    standby = await simulated.scene.join('rm-2');
    await simulated.clock.advance(2_000);
  });

  afterEach(() => simulated.scene.end());

  /** Deletes the head of the line and tells how long the standby takes to be confirmed. */
  async function takeOverMs(): Promise<number> {
    const { etcd, scene, clock } = simulated;
    etcd.deleteKey((await scene.line())[0]!.key);
    const beganMs = clock.monotonicMs();
    await scene.until('the standby leads', () => standby.contender.leadership !== null);
    return clock.monotonicMs() - beganMs;
  }

  it('lets a standby take over within milliseconds', async () => {
    expect(await takeOverMs()).to.be.below(20);
  });

  it('lists and watches again after its watches were lost', async () => {
    simulated.etcd.dropWatches('rm-2');
    await simulated.clock.advance(500);
    expect(await takeOverMs()).to.be.below(20);
  });

  it('lists again when what it wants to watch has been compacted', async () => {
    const { etcd, clock } = simulated;
    etcd.dropWatches('rm-2');
    etcd.putKey('/elsewhere', '1');
    etcd.compact();
    await clock.advance(1_500);
    expect(await takeOverMs()).to.be.below(20);
  });

  it('finds out within two seconds what a silent watch does not tell', async () => {
    const { etcd } = simulated;
    etcd.block('rm-2', 'etcd-1');
    expect(await takeOverMs()).to.be.within(20, 2_000);
  });

  it('does not flood a store that ends each watch', async () => {
    const { etcd, clock, scene } = simulated;
    let lists = 0;
    const count = (): boolean => {
      lists += 1;
      return false;
    };
    etcd.loseCall({ client: 'rm-2', where: count });
    for (let round = 0; round < 100; round++) {
      etcd.dropWatches('rm-2');
      await clock.advance(10);
    }
    expect(lists).to.be.below(40);
    await clock.advance(2_000);
    expect(scene.lineOf(standby)).to.deep.equal(['rm-1', 'rm-2']);
    expect(await takeOverMs()).to.be.below(20);
  });
});

import { expect } from 'chai';
import { readHistory } from '../../../src/ha/read-history.ts';
import type { Participant } from '../../contract/high-availability-under-test.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { SimulatedElection, TTL_MS } from '../../support/simulated-election.ts';

/** One repetition, and the ways to and fro. */
const ONE_REPETITION_MS = 130;

for (const condition of ['silent', 'down'] as const) {
  describe(`a first endpoint that is ${condition}`, () => {
    let simulated: SimulatedElection;
    let leader: Participant;

    beforeEach(async () => {
      simulated = new SimulatedElection();
      ({ participant: leader } = await simulated.leader());
      await simulated.scene.join('rm-2');
      await simulated.clock.advance(500);
    });

    /** Virtual time that it takes. */
    async function timeOf(work: () => Promise<unknown>): Promise<number> {
      const startMs = simulated.clock.monotonicMs();
      await simulated.scene.answer(work());
      return simulated.clock.monotonicMs() - startMs;
    }

    it('costs a leader neither its leadership nor a suspension', async () => {
      simulated.etcd.setCondition('etcd-1', condition);
      await simulated.clock.advance(5 * TTL_MS);
      expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
    });

    it('costs one repetition at most of a guarded write, of history, and of a listing at the start', async () => {
      const { scene, etcd } = simulated;
      etcd.setCondition('etcd-1', condition);
      const write = {
        alsoIf: [],
        operations: [{ type: 'put', key: `${scene.keys.root}x`, value: '' }],
        readBack: [],
      } as const;
      expect(await timeOf(() => leader.contender.leadership!.write(write))).to.be.below(ONE_REPETITION_MS);
      const fresh = scene.storeContext(leader);
      const all = { limit: 10, after: null };
      expect(await timeOf(() => readHistory(fresh, scene.keys, all))).to.be.below(ONE_REPETITION_MS);
      const joined = timeOf(() => scene.join('rm-3'));
      expect(await joined).to.be.below(2 * ONE_REPETITION_MS);
    });

    it('costs a step-down one repetition at most', async () => {
      const { scene, etcd, clock } = simulated;
      etcd.setCondition('etcd-1', condition);
      await clock.advance(1_500);
      const startMs = clock.monotonicMs();
      await scene.answer(leader.election.resign({ reason: 'a test' }));
      const second = scene.participants[1]!;
      await scene.until('the second leads', () => second.contender.leadership !== null, 2_000);
      // The watch may have stood there: then the listing of each second tells.
      expect(clock.monotonicMs() - startMs).to.be.below(1_000 + 2 * ONE_REPETITION_MS);
    });

    it('costs a new leader one repetition at most of the reading of registrations', async () => {
      const bench = new ResourceManagerBench();
      for (let index = 0; index < 1_200; index += 1) {
        const written = { leaderSessionId: 's', generation: 1, epoch: '1' };
        const record = { instanceId: `i-${index}`, address: 'a:1', slots: 1, provider: null, ...written };
        bench.putRecord(bench.keys.taskExecutor(`te-${index}`), record);
      }
      bench.etcd.setCondition('etcd-1', condition);
      const startMs = bench.clock.monotonicMs();
      bench.election.lead();
      await bench.clock.until(() => bench.logger.of('registrations-read').length > 0);
      expect(bench.clock.monotonicMs() - startMs).to.be.below(ONE_REPETITION_MS);
    });
  });
}

import { expect } from 'chai';
import type { ResourceManagerId } from '../../src/core/ids.ts';
import { QuartermasterError } from '../../src/core/problem.ts';
import { readHistory } from '../../src/ha/read-history.ts';
import {
  ElectionScene,
  type HighAvailabilityUnderTest,
  type Participant,
} from './high-availability-under-test.ts';

interface Context {
  readonly scene: ElectionScene;
  /** The first of three, who leads. */
  readonly leader: Participant;
  readonly second: Participant;
  readonly third: Participant;
}

/** What every HighAvailabilityServices promises, whatever store it runs over. */
export function describeHighAvailability(
  name: string,
  start: () => Promise<HighAvailabilityUnderTest>,
): void {
  describe(`high availability over ${name}`, () => {
    let under: HighAvailabilityUnderTest;
    let clusters = 0;
    let context: Context;

    before(async function () {
      this.timeout(30_000);
      under = await start();
    });

    after(() => under.stop());

    beforeEach(async () => {
      clusters += 1;
      const scene = new ElectionScene(under, `contract-${clusters}`, clusters);
      const leader = await scene.join('rm-1');
      await scene.untilLeads(leader);
      const second = await scene.join('rm-2');
      const third = await scene.join('rm-3');
      context = { scene, leader, second, third };
    });

    afterEach(() => context.scene.end());

    it('confirms one of three contenders, and the others wait', async () => {
      const { scene, leader, second, third } = context;
      await scene.untilLeads(leader);
      expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
      expect(second.contender.calls).to.deep.equal([]);
      expect(third.contender.calls).to.deep.equal([]);
      expect(scene.lineOf(third)).to.deep.equal(['rm-1', 'rm-2', 'rm-3']);
      const { leadership } = leader.contender;
      expect(leadership?.mayServe()).to.equal(true);
      expect(leader.election.hasLeadership(leader.contender.grants[0]!)).to.equal(true);
      expect(second.election.view.leader?.token).to.deep.equal(leadership?.token);
    });

    it('keeps only candidates under election/, each bound to the lease that its key names', async () => {
      const { scene } = context;
      const line = await scene.line();
      expect(line.map(({ value }) => JSON.parse(value).resourceManagerId)).to.deep.equal([
        'rm-1',
        'rm-2',
        'rm-3',
      ]);
      for (const { key, value, lease } of line) {
        expect(key).to.equal(scene.keys.candidate(lease));
        expect(JSON.parse(value)).to.include.keys('resourceManagerId', 'address', 'bootNonce', 'version');
      }
    });

    it('writes record, identity and history in the confirm, under the epoch of the key', async () => {
      const { scene, leader } = context;
      const [head] = await scene.line();
      const [record] = await scene.range(scene.keys.leader);
      const [identity] = await scene.range(scene.keys.identity);
      const [row] = await scene.range(scene.keys.history, true);
      const token = leader.contender.leadership!.token;
      expect(token.epoch).to.equal(head?.createRevision);
      expect(record?.lease).to.equal(head?.lease);
      expect(JSON.parse(record!.value)).to.deep.include({
        resourceManagerId: 'rm-1',
        address: 'rm-1:7000',
        leaderSessionId: token.leaderSessionId,
        generation: 1,
        epoch: token.epoch.toString(),
      });
      expect(JSON.parse(identity!.value)).to.deep.equal({
        clusterId: leader.contender.leadership?.clusterId,
        generation: 1,
      });
      expect(row?.key).to.equal(scene.keys.historyRow(1, token.epoch));
      expect(row?.createRevision).to.equal(record?.modRevision);
      expect(JSON.parse(row!.value)).to.deep.include({ resourceManagerId: 'rm-1', ended: null });
    });

    it('hands over to the next in line when the leader resigns, with a higher epoch', async () => {
      const { scene, leader, second } = context;
      const first = leader.contender.leadership!.token;
      await scene.answer(leader.election.resign({ reason: 'asked by a test' }));
      await scene.untilLeads(second);
      expect(second.contender.leadership!.token.epoch > first.epoch).to.equal(true);
      expect(leader.contender.calls.at(-1)).to.equal('revoke: asked by a test');
      expect(leader.election.hasLeadership(first.leaderSessionId)).to.equal(false);
      await scene.until('the one who resigned is last in line', () =>
        ['rm-2', 'rm-3', 'rm-1'].every((name, index) => scene.lineOf(second)[index] === name),
      );
      const [ended, current] = await scene.history();
      expect(ended?.ended).to.deep.include({ reason: 'asked by a test', by: 'rm-1' });
      expect(current).to.deep.include({ resourceManagerId: 'rm-2', ended: null });
    });

    it('tells a new leader who was registered when it was confirmed', async () => {
      const { scene, leader, second } = context;
      expect(leader.contender.leadership!.registrations).to.deep.equal({
        taskExecutors: { type: 'range', keyValues: [], more: false },
        jobMasters: { type: 'range', keyValues: [], more: false },
      });
      const key = `${scene.keys.taskExecutors}te-1`;
      const value = '{"instanceId":"i"}';
      const written = await scene.answer(
        leader.contender.leadership!.write({
          alsoIf: [],
          operations: [{ type: 'put', key, value }],
          readBack: [],
        }),
      );
      expect(written.kind).to.equal('committed');
      await scene.answer(leader.election.resign({ reason: 'asked by a test' }));
      await scene.untilLeads(second);
      const { taskExecutors } = second.contender.leadership!.registrations!;
      expect(taskExecutors.more).to.equal(false);
      expect(taskExecutors.keyValues.map((each) => [each.key, each.value])).to.deep.equal([[key, value]]);
    });

    it('hands over to the one named, and those between queue again', async () => {
      const { scene, leader, second, third } = context;
      await scene.answer(leader.election.resign({ reason: 'moving', to: third.id }));
      await scene.untilLeads(third);
      await scene.until('the others are in line again', () => scene.lineOf(third).length === 3);
      expect(second.contender.calls).to.deep.equal([]);
    });

    it('refuses to hand over to somebody who is not in line, and leads on', async () => {
      const { scene, leader } = context;
      const to = 'rm-9' as ResourceManagerId;
      const error = await scene.answer(
        leader.election.resign({ reason: 'moving', to }).then(
          () => null,
          (reason: unknown) => reason,
        ),
      );
      expect(error).to.be.instanceOf(QuartermasterError);
      expect((error as QuartermasterError).code).to.equal('CONFLICT');
      expect(leader.contender.leadership?.mayServe()).to.equal(true);
      expect(leader.contender.calls).to.deep.equal(['grant', 'confirmed']);
    });

    it('refuses the resignation of one that does not lead', async () => {
      const { scene, second } = context;
      const error = await scene.answer(
        second.election.resign({ reason: 'moving' }).then(
          () => null,
          (reason: unknown) => reason,
        ),
      );
      expect((error as QuartermasterError).code).to.equal('NOT_LEADER');
    });

    it('changes the leader when an operator deletes its key, and closes its term in the next confirm', async () => {
      const { scene, leader, second } = context;
      const first = leader.contender.leadership!;
      await scene.delete((await scene.line())[0]!.key);
      await scene.untilLeads(second);
      await scene.until('the deposed one has noticed', () => !first.current);
      expect(first.mayServe()).to.equal(false);
      const [closed] = await scene.history();
      expect(closed?.ended).to.deep.include({ reason: 'lost', by: 'rm-2' });
      await scene.until('it is in line again, under another key', () => scene.lineOf(second).length === 3);
      expect(scene.lineOf(second).at(-1)).to.equal('rm-1');
    });

    it('changes the leader when an operator revokes its lease', async () => {
      const { scene, leader, second } = context;
      await scene.revoke((await scene.line())[0]!.lease);
      await scene.untilLeads(second);
      expect(leader.contender.calls.filter((call) => call.startsWith('revoke'))).to.have.length(1);
      expect(await scene.range(scene.keys.leader)).to.have.length(1);
    });

    it('changes the leader when an operator deletes its record: nobody would find it any more', async () => {
      const { scene, leader, second } = context;
      await scene.delete(scene.keys.leader);
      await scene.untilLeads(second);
      expect(leader.contender.calls.at(-1)).to.equal('revoke: leader record gone');
      expect((await scene.history())[0]?.ended).to.deep.include({ reason: 'leader record gone', by: 'rm-1' });
      expect(await scene.range(scene.keys.leader)).to.have.length(1);
    });

    it('lets one whose key was deleted while it waited queue again without a word to its contender', async () => {
      const { scene, leader, second } = context;
      const before = (await scene.line())[1]!;
      await scene.delete(before.key);
      await scene.until('it is last in line', () => scene.lineOf(leader).at(-1) === 'rm-2');
      expect(second.contender.calls).to.deep.equal([]);
      expect((await scene.line()).some(({ key }) => key === before.key)).to.equal(false);
    });

    it('names a foreign key in the log, counts it as nobody, and deposes it when it is first in line', async () => {
      const { scene, leader, second, third } = context;
      const key = `${scene.keys.election}foreign`;
      await scene.put(key, 'nobody');
      const named = ({ logger }: Participant): boolean =>
        logger.lines.some(({ event, fields }) => event.includes('foreign key') && fields['key'] === key);
      await scene.until('everybody names it', () => scene.participants.every(named));
      expect(scene.lineOf(leader)).to.deep.equal(['rm-1', 'rm-2', 'rm-3']);
      for (const participant of [leader, second, third]) {
        await scene.answer(participant.election.stop('going'));
      }
      const foreign = await scene.line();
      expect(foreign.map((keyValue) => keyValue.key)).to.deep.equal([key]);
      const late = await scene.join('rm-4');
      await scene.untilLeadsAlone(late);
      expect(named(late)).to.equal(true);
      expect((await scene.line()).some((keyValue) => keyValue.key === key)).to.equal(false);
      const row = (await scene.history()).find(({ epoch }) => epoch === foreign[0]?.createRevision);
      expect(row).to.deep.include({ neverConfirmed: true, confirmedAt: null });
      expect(row?.ended).to.deep.include({ reason: 'deposed', by: 'rm-4' });
    });

    it('releases key and lease when it stops, and leads no more', async () => {
      const { scene, leader, second } = context;
      const [own] = await scene.line();
      await scene.answer(leader.election.stop('SIGTERM'));
      expect(leader.contender.leadership).to.equal(null);
      expect((await scene.line()).some(({ key }) => key === own?.key)).to.equal(false);
      await scene.untilLeadsAlone(second);
      const [ended] = await scene.history();
      expect(ended?.ended).to.deep.include({ reason: 'SIGTERM', by: 'rm-1' });
    });

    it('tells the leader, each change, and that there is none', async () => {
      const { scene, leader, second, third } = context;
      const told: (string | null)[] = [];
      const retrieval = second.services.leaderRetrieval();
      retrieval.start({
        notifyLeaderAddress: (address) => told.push(address),
        handleError: (error) => {
          throw error;
        },
      });
      await scene.until('the leader was told', () => told.includes('rm-1:7000'));
      await scene.answer(second.election.stop('going'));
      await scene.answer(third.election.stop('going'));
      await scene.answer(leader.election.stop('going'));
      await scene.until('that there is none was told', () => told.at(-1) === null);
      expect(told).to.deep.equal(['rm-1:7000', null]);
      await retrieval.stop();
    });

    it('confirms nothing under another identity, says so, and steps down', async () => {
      const { scene, leader } = context;
      await scene.put(scene.keys.identity, JSON.stringify({ clusterId: 'another', generation: 1 }));
      const said = ({ logger }: Participant): boolean =>
        logger.lines.some(({ level, event }) => level === 'error' && event.includes('wiped or restored'));
      await scene.until('everybody says so', () => scene.participants.every(said));
      await scene.until('nobody is in line', async () => (await scene.line()).length === 0);
      expect(leader.contender.leadership).to.equal(null);
      expect(leader.contender.calls.at(-1)).to.equal('revoke: etcd was wiped or restored');
    });

    it('takes up a new generation that an operator declared, under a higher token', async () => {
      const { scene, leader } = context;
      const { clusterId, token } = leader.contender.leadership!;
      await scene.put(scene.keys.identity, JSON.stringify({ clusterId, generation: 2 }));
      const led = (): Participant | undefined =>
        scene.participants.find(({ contender }) => contender.leadership?.token.generation === 2);
      await scene.until('somebody leads in the new generation', () => led() !== undefined);
      expect(led()!.contender.leadership!.token.epoch > token.epoch).to.equal(true);
    });

    it('shows history, the newest term first and page by page', async () => {
      const { scene, leader, second, third } = context;
      await scene.answer(leader.election.resign({ reason: 'one' }));
      await scene.untilLeads(second);
      await scene.answer(second.election.resign({ reason: 'two' }));
      await scene.untilLeads(third);
      const reading = scene.storeContext(third);
      const page = await scene.answer(readHistory(reading, scene.keys, { limit: 2, after: null }));
      expect(page.rows.map(({ record }) => record['resourceManagerId'])).to.deep.equal(['rm-3', 'rm-2']);
      expect(page.rows[0]!.modRevision).to.equal(page.rows[0]!.createRevision);
      expect(page.rows[1]!.modRevision > page.rows[1]!.createRevision).to.equal(true);
      const rest = await scene.answer(readHistory(reading, scene.keys, { limit: 2, after: page.next }));
      expect(rest.rows.map(({ record }) => record['resourceManagerId'])).to.deep.equal(['rm-1']);
      expect(rest.next).to.equal(null);
      const problem = await scene.answer(
        readHistory(reading, scene.keys, { limit: 2, after: 'zzz' }).catch((error: unknown) => error),
      );
      expect(problem, 'a page that there is not').to.have.property('code', 'INVALID');
    });
  });
}

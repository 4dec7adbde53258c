import { expect } from 'chai';
import { StoreRecorder } from '../../../../src/cli/audit/store-recorder.ts';
import { QuartermasterError } from '../../../../src/core/problem.ts';
import { SimulatedEtcd } from '../../../simulation/simulated-etcd.ts';
import { VirtualClock } from '../../../simulation/virtual-clock.ts';

const ROOT = '/quartermaster/c/';

class Scene {
  readonly clock = new VirtualClock();
  readonly etcd = new SimulatedEtcd({ clock: this.clock });
  readonly recorder = new StoreRecorder(this.etcd.connect('auditor'), ROOT, this.clock, (events) => {
    this.told.push(...events.map(({ key }) => key));
  });
  readonly told: string[] = [];

  put(key: string, value: string): bigint {
    const { state } = this.etcd;
    return state.transact({ compare: [], success: [{ type: 'put', key, value }], failure: [] }).revision;
  }

  delete(key: string): void {
    this.etcd.state.transact({ compare: [], success: [{ type: 'delete', key }], failure: [] });
  }

  async caughtUp(): Promise<bigint> {
    let outcome: bigint | Error | null = null;
    this.recorder.caughtUp(10_000, new AbortController().signal).then(
      (revision) => (outcome = revision),
      (error: Error) => (outcome = error),
    );
    await this.clock.until(() => outcome !== null);
    if (typeof outcome === 'bigint') return outcome;
    throw outcome as unknown as Error;
  }

  get texts(): string[][] {
    return this.recorder.log.map(({ events }) =>
      events.map(({ kind, key, value }) => `${kind} ${key.slice(ROOT.length)}=${value}`),
    );
  }
}

describe('the recorder of what is written', () => {
  it('has every write since the beginning, overwritten and deleted ones too, and of this prefix alone', async () => {
    const scene = new Scene();
    scene.put(`${ROOT}a`, '1');
    scene.put(`${ROOT}a`, '2');
    scene.put('/quartermaster/other/a', 'x');
    scene.recorder.start();
    await scene.clock.advance(50);
    scene.put(`${ROOT}b`, '3');
    scene.delete(`${ROOT}b`);
    expect(await scene.caughtUp()).to.equal(scene.etcd.state.mvcc.revision);
    expect(scene.texts).to.deep.equal([['put a=1', 'put a=2', 'put b=3', 'delete b=']]);
    expect(scene.recorder.log[0]?.base).to.deep.equal({ revision: 0n, keys: [] });
    expect(scene.told).to.have.length(4);
    const [first] = scene.recorder.log[0]?.events ?? [];
    expect(first).to.deep.include({ revision: 2n, createRevision: 2n, modRevision: 2n, lease: 0n });
  });

  it('misses nothing when its watch is lost, and has nothing twice', async () => {
    const scene = new Scene();
    scene.recorder.start();
    await scene.clock.advance(50);
    const expected: string[] = [];
    for (let number = 0; number < 6; number++) {
      scene.put(`${ROOT}a`, String(number));
      expected.push(`put a=${number}`);
      const member = scene.etcd.memberNames[number % 3] ?? '';
      if (number % 2 === 0) scene.etcd.setCondition(member, 'down');
      await scene.clock.advance(30);
      scene.etcd.setCondition(member, 'up');
    }
    await scene.caughtUp();
    expect(scene.texts).to.deep.equal([expected]);
  });

  it('begins at the compacted revision with what stood then, and takes every write from there', async () => {
    const scene = new Scene();
    scene.put(`${ROOT}a`, '1');
    scene.put(`${ROOT}a`, '2');
    scene.put(`${ROOT}gone`, 'x');
    const compacted = scene.put(`${ROOT}b`, '3');
    scene.delete(`${ROOT}gone`);
    scene.put(`${ROOT}a`, '4');
    scene.etcd.state.mvcc.compact(compacted);
    scene.recorder.start();
    await scene.caughtUp();
    expect(scene.texts).to.deep.equal([['delete gone=', 'put a=4']]);
    const { base } = scene.recorder.log[0]!;
    expect(base.revision).to.equal(compacted);
    expect(base.keys.map(({ key, value }) => `${key.slice(ROOT.length)}=${value}`)).to.deep.equal([
      'a=2',
      'b=3',
      'gone=x',
    ]);
  });

  it('begins a new segment where compaction overtook it', async () => {
    const scene = new Scene();
    scene.recorder.start();
    await scene.clock.advance(50);
    scene.put(`${ROOT}a`, '1');
    await scene.clock.advance(50);
    scene.etcd.block('auditor');
    await scene.clock.advance(7_000);
    scene.put(`${ROOT}a`, 'unseen');
    const compacted = scene.put(`${ROOT}a`, '3');
    scene.etcd.state.mvcc.compact(compacted);
    scene.etcd.unblock('auditor');
    scene.put(`${ROOT}a`, '4');
    await scene.caughtUp();
    expect(scene.texts).to.deep.equal([['put a=1'], ['put a=4']]);
    expect(scene.recorder.log[1]?.base.keys.map(({ value }) => value)).to.deep.equal(['3']);
  });

  it('says so when no endpoint tells', async () => {
    const scene = new Scene();
    for (const member of scene.etcd.memberNames) scene.etcd.setCondition(member, 'down');
    scene.recorder.start();
    const failure = await scene.caughtUp().catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(QuartermasterError).and.include({ code: 'UNAVAILABLE' });
    scene.recorder.stop();
  });
});

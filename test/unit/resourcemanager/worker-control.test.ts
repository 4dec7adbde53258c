import { expect } from 'chai';
import type { ResourceId } from '../../../src/core/ids.ts';
import type {
  WorkerListener,
  WorkerProvider,
  WorkerSpec,
} from '../../../src/resourcemanager/worker-provider.ts';
import { candidate } from '../../support/testing-leader-election.ts';
import { ResourceManagerBench } from '../../support/resource-manager-bench.ts';
import { SMALL } from '../../support/testing-worker.ts';

/** Remembers what it is told, starts nothing. */
class TestingWorkerProvider implements WorkerProvider {
  readonly name = 'process';
  readonly slotsPerWorker = 1;
  readonly started: WorkerSpec[] = [];
  readonly stopped: ResourceId[] = [];
  listener: WorkerListener | null = null;
  startError: Error | null = null;
  onStart: (worker: WorkerSpec) => void = () => {};

  listen(listener: WorkerListener): void {
    this.listener = listener;
  }

  startWorker(worker: WorkerSpec): void {
    if (this.startError !== null) throw this.startError;
    this.onStart(worker);
    this.started.push(worker);
  }

  stopWorker(resourceId: ResourceId): void {
    this.stopped.push(resourceId);
  }

  close(): void {}
}

/** A leader that a job has asked for one slot, without any task executor. */
async function withoutSlots() {
  const workerProvider = new TestingWorkerProvider();
  const bench = new ResourceManagerBench({
    workerProvider,
    workerLimits: { maximum: 2, idleMs: 20_000, registrationMs: 5_000 },
  });
  const { token } = bench.election.lead();
  const jobMaster = await bench.jobMaster('job');
  await jobMaster.register(token);
  return { bench, workerProvider, token, jobMaster };
}

/** The same, and a worker has been started for the job's request. */
async function withStartedWorker() {
  const made = await withoutSlots();
  await made.jobMaster.requestSlots(made.token, ['a-1']);
  await made.bench.clock.until(() => made.workerProvider.started.length > 0);
  const [started] = made.workerProvider.started;
  if (started === undefined) throw new Error('no worker was started');
  return { ...made, started };
}

/** The same, and the worker is there and grants what it is asked for; it has not registered yet. */
async function withWorker() {
  const made = await withStartedWorker();
  const worker = await made.bench.taskExecutor(made.started.resourceId);
  worker.provider = 'process';
  worker.grants();
  return { ...made, worker };
}

describe('workers on demand', () => {
  it('are recorded by a guarded write before they are started, for the profile that was asked for', async () => {
    const { bench, workerProvider, token, jobMaster } = await withoutSlots();
    let recordAtStart: unknown;
    workerProvider.onStart = ({ resourceId }) => {
      recordAtStart = bench.taskExecutorRecord(resourceId);
    };
    await jobMaster.requestSlots(token, ['a-1']);
    await bench.clock.until(() => workerProvider.started.length > 0);
    expect(workerProvider.started[0]?.profile).to.deep.equal(SMALL);
    expect(recordAtStart).to.deep.include({
      instanceId: null,
      provider: 'process',
      epoch: token.epoch.toString(),
    });
  });

  it('are told of every resource manager, so that they outlive the one that starts them', async () => {
    const { bench, workerProvider, token, jobMaster } = await withoutSlots();
    bench.election.setCandidates([candidate('rm-1', 'rm-1:1'), candidate('rm-2', 'rm-2:1')]);
    await jobMaster.requestSlots(token, ['a-1']);
    await bench.clock.until(() => workerProvider.started.length > 0);
    expect(workerProvider.started[0]?.resourceManagers).to.deep.equal(['rm-1:1', 'rm-2:1']);
  });

  it('are started once when the answer to the write of their record is lost', async () => {
    const { bench, workerProvider, token, jobMaster } = await withoutSlots();
    const { taskExecutors } = bench.keys;
    bench.etcd.loseAnswer({
      where: (request) =>
        request.method === 'transact' &&
        request.transaction.success.some(({ type, key }) => type === 'put' && key.startsWith(taskExecutors)),
    });
    await jobMaster.requestSlots(token, ['a-1']);
    await bench.clock.until(() => workerProvider.started.length > 0);
    expect(bench.logger.of('worker-given-up')).to.have.length(0);
  });

  it('are not started while the leader is suspended, though their record stands', async () => {
    const { bench, workerProvider, token, jobMaster } = await withoutSlots();
    const { leadership } = bench.election;
    if (leadership === null) throw new Error('nobody leads');
    leadership.beforeWrite = () => {
      leadership.serving = false;
    };
    await jobMaster.requestSlots(token, ['a-1']);
    await bench.clock.until(() => bench.logger.of('worker-given-up').length > 0);
    expect(workerProvider.started).to.have.length(0);
  });

  it('serve the request once they have registered, and know of no process before them', async () => {
    const { bench, workerProvider, token, jobMaster, worker } = await withWorker();
    expect(await worker.register(token)).to.deep.equal({ knownBefore: false });
    await bench.clock.until(() => jobMaster.worker.heard('notifySlotsAllocated').length > 0);
    await bench.clock.advance(4_000);
    expect(workerProvider.started).to.have.length(1);
  });

  it('are left alone once they have registered, however long they work', async () => {
    const { bench, workerProvider, token, worker } = await withWorker();
    await worker.register(token);
    await bench.clock.advance(12_000);
    expect(workerProvider.stopped).to.deep.equal([]);
    expect(bench.logger.of('worker-given-up')).to.deep.equal([]);
  });

  it('are given up when they do not register in time: the record goes, and another one is started', async () => {
    const { bench, workerProvider, started: first } = await withStartedWorker();
    await bench.clock.until(() => workerProvider.started.length > 1);
    expect(workerProvider.stopped).to.deep.equal([first.resourceId]);
    expect(bench.taskExecutorRecord(first.resourceId)).to.equal(null);
  });

  it('are tried again when their process ends at once or cannot be started', async () => {
    const { bench, workerProvider, token, jobMaster } = await withoutSlots();
    workerProvider.startError = new Error('no such file');
    await jobMaster.requestSlots(token, ['a-1']);
    await bench.clock.until(() => bench.logger.of('worker-given-up').length > 0);
    workerProvider.startError = null;
    await bench.clock.until(() => workerProvider.started.length === 1);
    workerProvider.listener?.onWorkerEnded(
      workerProvider.started[0]?.resourceId as ResourceId,
      'exit code 1',
    );
    await bench.clock.until(() => workerProvider.started.length === 2);
  });

  it('are stopped by a command when idle, also those that a former leader has started', async () => {
    const { bench, token, jobMaster, worker } = await withWorker();
    await worker.register(token);
    await bench.clock.until(() => jobMaster.worker.heard('notifySlotsAllocated').length > 0);

    bench.election.revoke();
    const next = bench.election.lead();
    await worker.register(next.token);
    await jobMaster.register(next.token);
    const commands = () => worker.commands.flatMap((call) => call.body.commands.map(({ kind }) => kind));
    for (let second = 0; second < 25; second += 5) {
      await worker.worker.call('ping', {});
      await jobMaster.worker.call('ping', {});
      await bench.clock.advance(5_000);
    }
    expect(commands()).to.include('stop');
  });

  it('are left alone by a new term that has not heard of them yet, when they had registered before', async () => {
    const { bench, workerProvider, token, worker } = await withWorker();
    await worker.register(token);
    bench.election.revoke();
    bench.election.lead();
    await bench.clock.advance(10_000);
    expect(workerProvider.stopped).to.deep.equal([]);
  });

  it('are given up when a former leader recorded them in vain', async () => {
    const { bench, workerProvider } = await withoutSlots();
    bench.election.revoke();
    const written = { leaderSessionId: 's', generation: 1, epoch: '1' };
    const record = { instanceId: null, address: null, slots: 0, provider: 'process' };
    bench.putRecord(bench.keys.taskExecutor('process-old'), { ...record, ...written });
    bench.election.lead();
    await bench.clock.advance(8_000);
    expect(workerProvider.stopped).to.deep.equal(['process-old']);
    expect(bench.taskExecutorRecord('process-old')).to.equal(null);
  });
});

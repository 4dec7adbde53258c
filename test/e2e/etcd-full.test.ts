import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import type { JobMaster } from '../../src/sdk/quartermaster.ts';
import type { CommandRun } from '../support/command-run.ts';
import { eventually } from '../support/eventually.ts';
import { ProcessCluster, type LeaderAnswer, SMALL } from '../support/process-cluster.ts';

const QUOTA_BYTES = 8 * 1024 * 1024;
const FILLER_BYTES = 900_000;
const MOST_FILLERS = 40;

describe('a cluster whose etcd is full', function () {
  this.timeout(120_000);
  let cluster: ProcessCluster;
  let held: CommandRun;
  let early: JobMaster;
  let parting: CommandRun;
  let late: CommandRun;
  let term: LeaderAnswer;

  /** Writes until etcd refuses, which then has raised its alarm. */
  function fill(): void {
    for (let index = 0; index < MOST_FILLERS; index++) {
      try {
        execFileSync('etcdctl', [`--endpoints=${cluster.etcd.urls[0]}`, 'put', `/filler/${index}`], {
          input: 'x'.repeat(FILLER_BYTES),
          env: { ...process.env, ETCDCTL_API: '3' },
          stdio: ['pipe', 'pipe', 'pipe'],
        });
      } catch (error) {
        expect(String(error)).to.include('database space exceeded');
        return;
      }
    }
    throw new Error('etcd took all of it');
  }

  /** As the runbook says. */
  function makeSpace(): void {
    cluster.etcdctl(['del', '--prefix', '/filler/']);
    const answer = cluster.etcdctl(['get', '/nothing', '--write-out=json']);
    const { revision } = (JSON.parse(answer) as { header: { revision: number } }).header;
    cluster.etcdctl(['compact', String(revision)]);
    cluster.etcdctl(['defrag']);
    cluster.etcdctl(['alarm', 'disarm']);
  }

  const records = (folder: string): string =>
    cluster.etcdctl(['get', '--prefix', `${cluster.prefix}${folder}/`, '--keys-only']);

  const problemFrom = async (id: string, path: string, method = 'GET'): Promise<unknown> =>
    (await fetch(`http://${cluster.addressOf(id)}${path}`, { method })).json();

  before(async () => {
    cluster = await ProcessCluster.start({ etcd: { extraFlags: { 'quota-backend-bytes': QUOTA_BYTES } } });
    held = await cluster.holder('held');
    early = await cluster.register('early');
    parting = cluster.startWorker('task-executor', '--id=te-2', '--listen=127.0.0.1:0', '--slots=1');
    term = await cluster.leader();
    const { resourceManagerId: id } = term;
    const bothRegistered = async (): Promise<boolean> => {
      const overview = await cluster.ask<{ taskExecutors: number }>(id, '/v1/overview');
      return overview?.taskExecutors === 2;
    };
    await eventually('the other worker has registered', bothRegistered, 60_000);
    fill();
  });
  after(async () => {
    await early?.close();
    await cluster?.stop();
  });

  it('keeps its leader for longer than a lease, which says what is wrong', async () => {
    expect(cluster.etcdctl(['alarm', 'list'])).to.include('NOSPACE');
    const { resourceManagerId: id } = term;
    // Nobody has written anything: it asks from time to time.
    await eventually('the leader knows', async () => {
      const overview = await cluster.ask<{ storeFull: boolean }>(id, '/v1/overview');
      return overview?.storeFull === true;
    });
    expect(cluster.resourceManagers.get(id)?.stderr).to.include('"etcd-full"');
    expect(await cluster.leader()).to.deep.equal(term);
  });

  it('gives slots to a job that is registered, and takes them back', async () => {
    const [slot] = await early.requestSlots(1, SMALL, { timeoutMs: 20_000 });
    expect(slot?.held).to.equal(true);
    await slot?.release();
  });

  it('refuses to register anybody, and tells why', async () => {
    late = cluster.startWorker('job-master', '--job=late', '--slots=1');
    await eventually('it was told', () => late.stderr.includes('"STORE_FULL"'));
    expect(late.stderr).to.include('etcd is full');
    expect(late.jsonLines).to.deep.equal([]);
  });

  it('refuses to step down, since nobody could take over', async () => {
    const problem = await problemFrom(term.resourceManagerId, '/v1/step-down', 'POST');
    expect(problem).to.include({ code: 'STORE_FULL', status: 507 });
    expect(await cluster.leader()).to.deep.equal(term);
  });

  it('lets a worker say goodbye, though its record must stay for now', async () => {
    expect((await parting.end('SIGTERM')).code).to.equal(0);
    const overview = await cluster.ask<{ slots: { total: number } }>(term.resourceManagerId, '/v1/overview');
    expect(overview?.slots.total).to.equal(4);
    expect(records('task-executors')).to.include('te-2');
  });

  it('has no leader once its leader is killed, says why, and keeps what is held', async () => {
    const leader = cluster.resourceManagers.get(term.resourceManagerId);
    leader?.child.kill('SIGKILL');
    await leader?.ended;
    cluster.resourceManagers.delete(term.resourceManagerId);
    const [other = ''] = cluster.resourceManagers.keys();
    await eventually('its key is gone', () => records('election').trim().split(/\s+/).length === 2);
    expect(await cluster.serving()).to.equal(null);
    const problem = (await problemFrom(other, '/v1/leader')) as { code: string; detail: string };
    expect(problem.code).to.equal('NO_LEADER');
    expect(problem.detail).to.include('etcd is full');
    expect(held.jsonLines.map(({ event }) => event)).to.deep.equal(['granted']);
  });

  it('has a leader again as soon as there is space, and nothing of before is lost', async () => {
    makeSpace();
    const next = await cluster.leader(10_000);
    expect(BigInt(next.epoch) > BigInt(term.epoch)).to.equal(true);
    await eventually('the late job has its slot', () => late.jsonLines.length === 1);
    expect(held.jsonLines.map(({ event }) => event)).to.deep.equal(['granted']);
    expect(early.slots).to.deep.equal([]);
  });
});

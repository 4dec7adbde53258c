import { expect } from 'chai';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { findIp } from '../../../../src/cli/drill/network/ip-command.ts';
import { NamespaceLab } from '../../../../src/cli/drill/network/namespace-lab.ts';
import { eventually } from '../../../support/eventually.ts';
import { canMakeNamespaces, deadPid, madeBy } from '../../../support/namespaces.ts';

const PORT = 7_000;
const SERVER = `
  require('node:net').createServer((socket) => socket.on('error', () => {})).listen(${PORT}, process.argv[1], () =>
    console.log('listening'));`;
/** Says how the attempt to connect ended. */
const CLIENT = `
  const socket = require('node:net').connect({ host: process.argv[1], port: ${PORT} });
  const say = (what) => { console.log(what); process.exit(); };
  socket.on('connect', () => say('connected'));
  socket.on('error', (error) => say(error.code));
  setTimeout(() => say('silence'), Number(process.argv[2]));`;
/** Long enough for an error to come, were there one. */
const SILENCE_MS = 500;
const PATIENCE_MS = 20_000;

if (canMakeNamespaces()) {
  describe('namespaces joined by a bridge (only for root, where `ip netns add` works)', function () {
    this.timeout(60_000);
    let lab: NamespaceLab;
    let servers: ChildProcess[] = [];

    beforeEach(async () => {
      const ip = findIp(process.env) ?? '';
      lab = await NamespaceLab.open(ip, process.pid, ['a', 'b', 'c'], Math.random());
      for (const name of ['a', 'b', 'c']) {
        const server = run(name, SERVER, lab.node(name).address);
        servers.push(server);
        expect(await lineOf(server)).to.equal('listening');
      }
    });

    afterEach(async () => {
      for (const server of servers) server.kill('SIGKILL');
      servers = [];
      expect(await lab.close()).to.deep.equal([]);
      expect(madeBy(process.pid)).to.deep.equal([]);
    });

    function run(name: string, script: string, ...args: string[]): ChildProcess {
      const [program = '', ...before] = lab.launcher(name);
      return spawn(program, [...before, process.execPath, '-e', script, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    }

    function lineOf({ stdout }: ChildProcess): Promise<string> {
      if (stdout === null) throw new Error('it has no output');
      return new Promise((resolve) => createInterface({ input: stdout }).once('line', resolve));
    }

    function attempt(from: string, to: string, waitMs: number): Promise<string> {
      return lineOf(run(from, CLIENT, lab.node(to).address, String(waitMs)));
    }

    it('lose what two send each other once they are separated, without a word, and nothing else', async () => {
      expect(await attempt('a', 'b', PATIENCE_MS)).to.equal('connected');
      lab.separate('a', 'b');
      expect(await attempt('c', 'b', PATIENCE_MS)).to.equal('connected');
      expect(await attempt('a', 'c', PATIENCE_MS)).to.equal('connected');
      expect(await attempt('a', 'b', SILENCE_MS)).to.equal('silence');
      expect(await attempt('b', 'a', SILENCE_MS)).to.equal('silence');
      lab.mend();
      expect(await attempt('a', 'b', PATIENCE_MS)).to.equal('connected');
      expect(await attempt('b', 'a', PATIENCE_MS)).to.equal('connected');
      expect(lab.failure).to.equal(null);
    });

    it('hear nothing of one that is unplugged until it is plugged in again', async () => {
      lab.unplug('b');
      expect(await attempt('b', 'a', SILENCE_MS)).to.equal('silence');
      expect(await attempt('a', 'b', SILENCE_MS)).to.equal('silence');
      expect(await attempt('a', 'c', PATIENCE_MS)).to.equal('connected');
      lab.mend();
      expect(await attempt('a', 'b', PATIENCE_MS)).to.equal('connected');
      expect(lab.failure).to.equal(null);
    });

    it('leave nothing behind when they cannot all be made', async () => {
      const pid = deadPid();
      let failure: unknown = null;
      await NamespaceLab.open(findIp(process.env) ?? '', pid, ['a', 'no/name'], 0).catch(
        (error) => (failure = error),
      );
      expect(String(failure)).to.match(/ip netns add quartermaster-\d+-no\/name failed/);
      expect(madeBy(pid)).to.deep.equal([]);
    });

    it('tell when a link could not be cut', async () => {
      const { hub } = lab.plan;
      const { port } = lab.node('b');
      execFileSync('ip', ['-n', hub, 'link', 'delete', port]);
      lab.unplug('b');
      await eventually('the failure is told', () => lab.failure !== null);
      expect(lab.failure).to.match(new RegExp(`^ip in ${hub} ended: .*"${port}"`));
    });
  });
}

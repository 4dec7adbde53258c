import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ChildGuard } from '../../../../src/cli/cluster/child-guard.ts';
import {
  ProcessSupervisor,
  type ProcessEnd,
  type ProcessSpec,
} from '../../../../src/cli/cluster/process-supervisor.ts';
import { SystemClock } from '../../../../src/runtime/system-clock.ts';
import { eventually } from '../../../support/eventually.ts';
import { isAlive } from '../../../support/process-alive.ts';

const FOR_EVER = 'console.log("up"); setInterval(() => {}, 1000);';
const DEAF = `process.on("SIGTERM", () => {}); ${FOR_EVER}`;

let folder: string;
let guard: ChildGuard;
let supervisor: ProcessSupervisor;
let starts: { name: string; pid: number }[];
let ends: ProcessEnd[];
let lines: string[];

function supervise(restartDelayMs: number | null, stopTimeoutMs = 10_000): ProcessSupervisor {
  supervisor = new ProcessSupervisor({
    clock: new SystemClock(),
    guard,
    restartDelayMs,
    stopTimeoutMs,
    onStart: (name, pid) => starts.push({ name, pid }),
    onEnd: (end) => ends.push(end),
  });
  return supervisor;
}

function node(name: string, script: string): ProcessSpec {
  return {
    name,
    program: process.execPath,
    args: ['-e', script],
    environment: process.env,
    logFile: join(folder, `${name}.log`),
    onLine: (line) => lines.push(`${name}: ${line}`),
  };
}

describe('the process supervisor', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quartermaster-supervisor-'));
    guard = new ChildGuard();
    [starts, ends, lines] = [[], [], []];
  });
  afterEach(async () => {
    await supervisor.stopAll();
    await guard.release();
    rmSync(folder, { recursive: true });
  });

  it('starts a process that was killed again, under the same name', async () => {
    supervise(10).start(node('a', FOR_EVER));
    await eventually('it is up', () => lines.length === 1);
    const before = supervisor.pid('a')!;
    process.kill(before, 'SIGKILL');
    await eventually('it is up again', () => lines.length === 2);
    expect(ends).to.deep.equal([{ name: 'a', pid: before, code: null, signal: 'SIGKILL', restartInMs: 10 }]);
    expect(starts.map((start) => start.pid)).to.deep.equal([before, supervisor.pid('a')]);
  });

  it('leaves a process that has ended alone when it is not to be started again', async () => {
    supervise(null).start(node('a', 'process.exit(7)'));
    await eventually('it has ended', () => ends.length === 1);
    expect(ends[0]).to.include({ code: 7, signal: null, restartInMs: null });
    expect(supervisor.pid('a')).to.equal(null);
  });

  it('tells the end of a process that could not be started, and tries again', async () => {
    supervise(10).start({ ...node('a', ''), program: join(folder, 'no-such-program') });
    await eventually('it was tried twice', () => ends.length === 2);
    expect(ends[0]).to.include({ pid: null, code: null, signal: null });
  });

  it('keeps what a process writes to standard error', async () => {
    supervise(null).start(node('a', 'console.error("last words"); process.exit(1)'));
    await eventually('it has ended', () => ends.length === 1);
    expect(supervisor.lastWords('a')).to.equal('last words');
    expect(supervisor.lastWords('b')).to.equal('');
  });

  it('ends a stopped process for good and tells nobody, as that was no accident', async () => {
    supervise(1).start(node('a', FOR_EVER));
    supervisor.start(node('b', FOR_EVER));
    await eventually('both are up', () => lines.length === 2);
    const pid = supervisor.pid('a')!;
    await supervisor.stop(['a']);
    expect([isAlive(pid), supervisor.pid('a'), ends.length]).to.deep.equal([false, null, 0]);
    expect(supervisor.pid('b')).not.to.equal(null);
  });

  it('kills a process that does not end when it is asked to, and one that was suspended', async () => {
    supervise(1, 50).start(node('deaf', DEAF));
    supervisor.start(node('suspended', FOR_EVER));
    await eventually('both are up', () => lines.length === 2);
    process.kill(supervisor.pid('suspended')!, 'SIGSTOP');
    const pids = ['deaf', 'suspended'].map((name) => supervisor.pid(name)!);
    await supervisor.stopAll();
    expect(pids.map(isAlive)).to.deep.equal([false, false]);
  });

  it('starts nothing any more once all are stopped, not even what waits to be started again', async () => {
    supervise(50).start(node('a', 'process.exit(0)'));
    await eventually('it has ended', () => ends.length === 1);
    await supervisor.stopAll();
    supervisor.start(node('b', FOR_EVER));
    expect([supervisor.pid('a'), supervisor.pid('b'), starts.length]).to.deep.equal([null, null, 1]);
  });

  it('leaves no process and no folder behind when its own process is killed', async () => {
    supervise(null);
    const doomed = mkdtempSync(join(tmpdir(), 'quartermaster-doomed-'));
    const script = `
      const { ChildGuard } = await import(${JSON.stringify(new URL('../../../../src/cli/cluster/child-guard.js', import.meta.url))});
      const { ProcessSupervisor } = await import(${JSON.stringify(new URL('../../../../src/cli/cluster/process-supervisor.js', import.meta.url))});
      const { SystemClock } = await import(${JSON.stringify(new URL('../../../../src/runtime/system-clock.js', import.meta.url))});
      new ProcessSupervisor({
        clock: new SystemClock(), guard: new ChildGuard(${JSON.stringify(doomed)}), restartDelayMs: 1, stopTimeoutMs: 1,
        onStart: (_name, pid) => console.log(pid), onEnd: () => {},
      }).start({
        name: 'a', program: process.execPath, args: ['-e', ${JSON.stringify(DEAF)}], environment: process.env,
        logFile: ${JSON.stringify(join(doomed, 'log'))},
      });`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const first: string[] = [];
    createInterface({ input: parent.stdout }).on('line', (line) => first.push(line));
    await eventually('the child is up', () => first.length === 1);
    const pid = Number(first[0]);
    expect(isAlive(pid)).to.equal(true);
    parent.kill('SIGKILL');
    await eventually('nothing is left', () => !isAlive(pid) && !existsSync(doomed));
  });
});

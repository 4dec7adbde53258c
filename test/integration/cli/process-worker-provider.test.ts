import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ProcessWorkerProvider } from '../../../src/cli/process-worker-provider.ts';
import type { ResourceId } from '../../../src/core/ids.ts';
import type { LogFields } from '../../../src/runtime/logger.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import { eventually } from '../../support/eventually.ts';
import { isAlive } from '../../support/process-alive.ts';

const FOR_EVER = 'setInterval(() => {}, 1000);';
const REGISTERS = `console.log("registered"); ${FOR_EVER}`;
const DEAF = `process.on("SIGTERM", () => {}); ${REGISTERS}`;

describe('the provider that starts workers as processes', () => {
  let provider: ProcessWorkerProvider;
  let ended: { resourceId: string; detail: string }[];
  let pids: number[];
  let registered: LogFields[];
  let script: string;

  beforeEach(() => {
    [ended, pids, registered, script] = [[], [], [], FOR_EVER];
    const log = (_level: string, event: string, fields?: LogFields): void => {
      if (event === 'worker-process-started' && typeof fields?.['pid'] === 'number') pids.push(fields['pid']);
      if (event === 'worker-process-registered') registered.push(fields ?? {});
    };
    provider = new ProcessWorkerProvider({
      slotsPerWorker: 1,
      commandFor: () => ({ program: process.execPath, args: ['-e', script], environment: process.env }),
      clock: new SystemClock(),
      logger: { log, child: () => ({ log, child: () => expect.fail('not used') }) },
      stopTimeoutMs: 50,
    });
    provider.listen({ onWorkerEnded: (resourceId, detail) => ended.push({ resourceId, detail }) });
  });
  afterEach(async () => {
    for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
    await eventually('all are gone', () => !pids.some(isAlive));
  });

  function start(name: string, what = FOR_EVER): void {
    script = what;
    provider.startWorker({
      resourceId: name as ResourceId,
      profile: { cpuCores: 1, memoryMB: 1, extended: {} },
      resourceManagers: ['127.0.0.1:1'],
    });
  }

  it('tells when a worker ends by itself, and why', async () => {
    start('a', 'process.exit(3)');
    await eventually('it has ended', () => ended.length === 1);
    expect(ended).to.deep.equal([{ resourceId: 'a', detail: 'exit code 3' }]);
  });

  it('ends a worker that it is told to stop, by force when it does not listen', async () => {
    start('a', DEAF);
    await eventually('it listens to no signal', () => registered.length === 1);
    provider.stopWorker('a' as ResourceId);
    await eventually('it has ended', () => ended.length === 1);
    expect(isAlive(pids[0]!)).to.equal(false);
  });

  it('does nothing when it is told to stop a worker that it has not started', () => {
    provider.stopWorker('somebody-else' as ResourceId);
    expect(ended).to.deep.equal([]);
  });

  it('ends at its close what has not registered yet, and lets go of what has', async () => {
    start('not-yet');
    start('registered', REGISTERS);
    await eventually('one has registered', () => registered.length === 1);
    provider.close();
    await eventually('one has ended', () => ended.length === 1);
    expect(ended[0]).to.deep.equal({ resourceId: 'not-yet', detail: 'ended by SIGTERM' });
    expect(isAlive(pids[1]!)).to.equal(true);
  });

  it('does not end by force at its close one that has work to finish', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'provider-'));
    try {
      const listens = join(folder, 'listens');
      const finishes = "process.on('SIGTERM', () => setTimeout(() => process.exit(7), 50));";
      start('busy', `${finishes} fs.writeFileSync(${JSON.stringify(listens)}, ''); ${FOR_EVER}`);
      await eventually('it listens to signals', () => existsSync(listens));
      provider.close();
      await eventually('it has ended', () => ended.length === 1);
      expect(ended).to.deep.equal([{ resourceId: 'busy', detail: 'exit code 7' }]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

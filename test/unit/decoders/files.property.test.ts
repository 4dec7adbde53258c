import { expect } from 'chai';
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readContextFile } from '../../../src/cli/context-file.ts';
import { ALL_SETTING_NAMES } from '../../../src/cli/settings/all-settings.ts';
import { resolveSettings } from '../../../src/cli/settings/resolve-settings.ts';
import { RESOURCE_MANAGER_SETTINGS } from '../../../src/cli/settings/resource-manager-settings.ts';
import { readSettingsFile } from '../../../src/cli/settings/settings-file.ts';
import type { ResourceId } from '../../../src/core/ids.ts';
import { QuartermasterError } from '../../../src/core/problem.ts';
import { StateFile } from '../../../src/taskexecutor/state-file.ts';
import { checkRefusal, holds, inspectable, parsed, read, RUNS, seed } from './hostile-input.ts';
import { checkPrototypes, hostileJson } from './hostile-json.ts';

describe(`files with hostile content (seed ${seed})`, function () {
  this.timeout(600_000);
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quartermaster-decoders-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('take a settings file, or name the file and what is wrong in it', () => {
    const path = join(folder, 'settings.json');
    const settings = {
      resourceManagerId: 'rm-1',
      etcd: ['http://127.0.0.1:1'],
      listen: '127.0.0.1:1',
      cluster: 'dev',
      leaseTtlSeconds: 10,
    };
    holds(
      [settings],
      (text) => {
        writeFileSync(path, text);
        try {
          const file = readSettingsFile(path, ALL_SETTING_NAMES);
          resolveSettings(RESOURCE_MANAGER_SETTINGS, { flags: {}, environment: {}, files: [file] });
        } catch (error) {
          checkRefusal(error);
          if (!/ is missing|must be given|--[a-z-]+/.test(String(error)))
            expect(String(error)).to.include(path);
        }
        checkPrototypes();
        expect(readFileSync(path, 'utf8')).to.equal(Buffer.from(text).toString('utf8'));
      },
      3 * RUNS,
    );
  });

  it('say of a value that is nested too deep to be shown that it is', () => {
    const path = join(folder, 'settings.json');
    writeFileSync(path, `{"etcd":${'['.repeat(50_000)}${']'.repeat(50_000)}}`);
    const files = [readSettingsFile(path, ALL_SETTING_NAMES)];
    const resolve = (): unknown =>
      resolveSettings(RESOURCE_MANAGER_SETTINGS, { flags: {}, environment: {}, files });
    expect(resolve).to.throw(QuartermasterError, `etcd in ${path}`);
    expect(resolve).to.throw(QuartermasterError, 'is nested too deep');
  });

  it('take a context file or do without it', () => {
    const contexts = join(folder, 'quartermaster', 'contexts');
    mkdirSync(contexts, { recursive: true });
    holds([{ pid: process.pid, cluster: 'dev', resourceManagers: ['h:1'], etcd: ['http://h:1'] }], (text) => {
      writeFileSync(join(contexts, 'dev-1.json'), text);
      read(() => readContextFile({ XDG_STATE_HOME: folder }, null, '--etcd'));
    });
  });

  it('take a state file, or leave it as it is and name it', async () => {
    const path = join(folder, 'state');
    const owner = { cluster: 'dev', resourceId: 'te-1' as ResourceId };
    const lease = {
      slotNumber: 0,
      allocationId: 'a',
      jobId: 'j',
      jobMasterId: 'm',
      instanceId: 'i',
      grantNumber: 1,
      token: { generation: 1, epoch: '5', leaderSessionId: 's' },
      claimed: true,
      durationMs: 9,
    };
    const profile = { cpuCores: 1, memoryMB: 1, extended: { gpu: 1 } };
    const state = {
      ...owner,
      clusterId: 'c',
      highestToken: lease.token,
      lastSeen: { generation: 1, epoch: '5', n: 1 },
      settled: true,
      drainOrdered: false,
      slots: [{ slotNumber: 0, grantNumber: 1, profile, lease }],
      jobOrders: [{ jobId: 'j', jobMasterId: 'm', order: { generation: 1, revision: '7' } }],
    };
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(hostileJson([state]), fc.boolean(), async (text, withHead) => {
        // With a checksum that is right, what is wrong in the state itself has to be found.
        const json = parsed(text);
        const inner = json === null || inspectable(json.value) === 'deep' ? text : JSON.stringify(json.value);
        const checksum = createHash('sha256').update(inner).digest('hex');
        const head = `{"format":"quartermaster-task-executor-state","version":2,"checksum":"${checksum}","state":`;
        const content = withHead ? `${head}${inner}}\n` : `${text}\n`;
        writeFileSync(path, content);
        try {
          const open = await new StateFile(path).open(owner);
          expect(open.state).to.not.equal(null);
          taken += 1;
          await open.close();
        } catch (error) {
          checkRefusal(error);
          expect(String(error)).to.include(path);
        }
        checkPrototypes();
        expect(readFileSync(path, 'utf8')).to.equal(Buffer.from(content).toString('utf8'));
      }),
      { seed, numRuns: 3 * RUNS },
    );
    expect(taken, 'states that were taken').to.be.above(0);
  });
});

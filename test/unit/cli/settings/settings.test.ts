import { expect } from 'chai';
import { Command } from 'commander';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuartermasterError } from '../../../../src/core/problem.ts';
import { DEFAULT_TIMING } from '../../../../src/core/timing.ts';
import { writeContextFile } from '../../../../src/cli/context-file.ts';
import { AUDIT_SETTINGS } from '../../../../src/cli/settings/audit-settings.ts';
import { DOCTOR_SETTINGS } from '../../../../src/cli/settings/doctor-settings.ts';
import {
  addSettings,
  printableSettings,
  readSettings,
  type Environment,
} from '../../../../src/cli/settings/command-settings.ts';
import { NO_SECRET } from '../../../../src/runtime/prover.ts';
import { proverOf } from '../../../../src/cli/settings/network-rules.ts';
import {
  checkResourceManager,
  RESOURCE_MANAGER_SETTINGS,
  type ResourceManagerValues,
} from '../../../../src/cli/settings/resource-manager-settings.ts';
import {
  environmentName,
  flagAttribute,
  type Settings,
  type SettingValues,
} from '../../../../src/cli/settings/setting.ts';
import { timingOf } from '../../../../src/cli/settings/timing-settings.ts';
import {
  checkTaskExecutor,
  JOB_MASTER_SETTINGS,
  TASK_EXECUTOR_SETTINGS,
  type TaskExecutorValues,
} from '../../../../src/cli/settings/worker-settings.ts';

const EVERYTHING: Settings = {
  ...RESOURCE_MANAGER_SETTINGS,
  ...TASK_EXECUTOR_SETTINGS,
  ...JOB_MASTER_SETTINGS,
};

let folder: string;

function read<S extends Settings>(
  settings: S,
  argv: string[],
  environment: Environment = {},
  findsDev = 'resourceManagers' in settings,
): SettingValues<S> {
  const command = addSettings(new Command(), settings).exitOverride();
  command.parse(argv, { from: 'user' });
  return readSettings(command, settings, {
    environment: { XDG_STATE_HOME: folder, ...environment },
    knownNames: new Set(Object.keys(EVERYTHING)),
    context: findsDev,
  });
}

function resourceManager(argv: string[] = [], environment: Environment = {}): ResourceManagerValues {
  const values = read(RESOURCE_MANAGER_SETTINGS, argv, environment);
  checkResourceManager(values);
  return values;
}

function taskExecutor(...argv: string[]): TaskExecutorValues {
  const values = read(TASK_EXECUTOR_SETTINGS, ['--resource-managers', '127.0.0.1:7070', ...argv]);
  checkTaskExecutor(values);
  return values;
}

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).to.be.instanceOf(QuartermasterError);
    const { code, detail } = (error as QuartermasterError).problem;
    expect(code).to.equal('INVALID');
    return detail;
  }
  throw new Error('was not refused');
}

function file(content: unknown): string {
  const path = join(folder, 'settings.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('the settings', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quartermaster-settings-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('take the flag before the environment, the environment before the file, the file before the default', () => {
    const path = file({ cluster: 'of-the-file', listen: '127.0.0.1:1', maxWorkers: 9 });
    const environment = {
      QUARTERMASTER_CLUSTER: 'of-the-environment',
      QUARTERMASTER_LISTEN: '127.0.0.1:2',
      QUARTERMASTER_CONFIG: path,
    };
    const values = resourceManager(['--cluster', 'of-the-flag'], environment);
    expect(values.cluster).to.equal('of-the-flag');
    expect(values.listen).to.equal('127.0.0.1:2');
    expect(values.maxWorkers).to.equal(9);
    expect(values.matching).to.equal('profile');
  });

  it('go by one name in three spellings', () => {
    for (const [name, { flag }] of Object.entries(EVERYTHING)) {
      expect(flagAttribute(flag)).to.equal(name);
      expect(environmentName(name)).to.equal(`QUARTERMASTER_${flag.toUpperCase().replaceAll('-', '_')}`);
    }
  });

  it('take an empty variable for one that is not set', () => {
    expect(resourceManager([], { QUARTERMASTER_CLUSTER: '' }).cluster).to.equal('default');
  });

  it('take lists as repeated flags, with commas, and as JSON', () => {
    const three = ['http://a:1', 'http://b:2', 'http://c:3'];
    const remote = ['--advertise', 'rm1:7070', '--listen', '0.0.0.0:7070'];
    expect(
      resourceManager(['--etcd', 'http://a:1/,http://b:2', '--etcd', 'http://c:3', ...remote]).etcd,
    ).to.deep.equal(three);
    expect(resourceManager(['--config', file({ etcd: three }), ...remote]).etcd).to.deep.equal(three);
  });

  it('take extended amounts as gpu=1 and as JSON', () => {
    expect(taskExecutor('--extended', 'gpu=1,disk=2.5', '--extended', 'fpga=3').extended).to.deep.equal({
      gpu: 1,
      disk: 2.5,
      fpga: 3,
    });
    expect(taskExecutor('--config', file({ extended: { gpu: 2 } })).extended).to.deep.equal({ gpu: 2 });
    expect(taskExecutor().extended).to.deep.equal({});
  });

  it('refuse each wrong value with a sentence that names it and where it came from', () => {
    const detail = refusal(() =>
      resourceManager(['--cluster', 'Not Right', '--config', file({ maxWorkers: -1 })], {
        QUARTERMASTER_LISTEN: 'nowhere',
      }),
    );
    expect(detail.split('\n')).to.deep.equal([
      '--cluster must be 1 to 63 lower case letters, digits and dashes, but is "Not Right".',
      'QUARTERMASTER_LISTEN must be host:port, such as 127.0.0.1:7070 or [::1]:7070, but is "nowhere".',
      `maxWorkers in ${join(folder, 'settings.json')} must be a whole number from 0 to 1000, but is -1.`,
    ]);
  });

  for (const [flag, value] of [
    ['--slots', '1.5'],
    ['--slots', '0'],
    ['--slots', ''],
    ['--cpu', '-1'],
    ['--cpu', 'two'],
    ['--extended', 'gpu'],
    ['--extended', '=1'],
    ['--extended', 'gpu=1=2'],
    ['--extended', 'gpu='],
    ['--extended', '__proto__=1'],
    ['--memory', '1e99'],
    ['--id', 'no spaces'],
    ['--resource-managers', 'nobody'],
    ['--resource-managers', '127.0.0.1:0'],
    ['--slot-lease-ms', '0'],
  ] as const) {
    it(`refuse ${flag} ${JSON.stringify(value)}`, () => {
      expect(refusal(() => taskExecutor(flag, value))).to.contain(flag);
    });
  }

  it('refuse a file with a setting that does not exist, one that is missing and one that is no JSON', () => {
    expect(refusal(() => resourceManager(['--config', file({ clutser: 'x' })]))).to.contain('clutser');
    expect(refusal(() => resourceManager(['--config', join(folder, 'nothing.json')]))).to.contain(
      'cannot be read',
    );
    expect(refusal(() => resourceManager(['--config', file('{')]))).to.contain('cannot be read');
    expect(refusal(() => resourceManager(['--config', file({ cluster: 5, id: null })]))).to.match(
      /cluster in .* must be 1 to 63 lower case .*\nid in .* must be 1 to 128 letters/,
    );
    expect(refusal(() => resourceManager(['--config', file('[]')]))).to.contain('one JSON object');
  });

  it('hide secrets when they are printed', () => {
    const values = resourceManager([], { QUARTERMASTER_SECRET: 'a secret that nobody sees' });
    const text = printableSettings(RESOURCE_MANAGER_SETTINGS, values);
    expect(JSON.parse(text)).to.include({ secret: '***', etcdPassword: null, cluster: 'default' });
    expect(text).not.to.contain('nobody sees');
  });

  it('have the defaults of the protocol for times', () => {
    expect(timingOf(resourceManager())).to.deep.equal(DEFAULT_TIMING);
  });

  it('refuse times that do not go together with a sentence that names them', () => {
    const values = resourceManager(['--slot-renewal-ms', '20000']);
    expect(refusal(() => timingOf(values))).to.equal(
      'slotRenewalMs (20000) must be at most a third of slotLeaseMs (30000).',
    );
  });

  it('take the resource managers of a running dev for a worker that names none', () => {
    const context = { pid: process.pid, cluster: 'mine', resourceManagers: ['127.0.0.1:1234'] };
    const written = writeContextFile({ XDG_STATE_HOME: folder }, context);
    expect(read(JOB_MASTER_SETTINGS, [])).to.deep.include({
      cluster: 'mine',
      resourceManagers: ['127.0.0.1:1234'],
    });
    expect(read(JOB_MASTER_SETTINGS, ['--resource-managers', 'h:1']).cluster).to.equal('default');
    written.remove();
    expect(refusal(() => read(JOB_MASTER_SETTINGS, []))).to.contain('No cluster is known');
  });

  it('take the etcd of a running dev for a doctor that is told neither etcd nor resource managers', () => {
    const [etcd, resourceManagers] = [['http://127.0.0.1:1235'], ['127.0.0.1:1234']];
    const context = { pid: process.pid, cluster: 'mine', resourceManagers, etcd };
    writeContextFile({ XDG_STATE_HOME: folder }, context);
    expect(read(DOCTOR_SETTINGS, [])).to.deep.include({ cluster: 'mine', resourceManagers, etcd });
    const elsewhere = read(DOCTOR_SETTINGS, ['--etcd', 'http://e:2379']);
    expect(elsewhere.etcd).to.deep.equal(['http://e:2379']);
    expect(elsewhere.resourceManagers).to.equal(undefined);
    expect(elsewhere.cluster).to.equal('default');
  });

  it('take the etcd of a running dev for an audit that is not told any, and name its flag when that is another cluster', () => {
    const etcd = ['http://127.0.0.1:1235'];
    const context = { pid: process.pid, cluster: 'mine', resourceManagers: ['127.0.0.1:1234'], etcd };
    writeContextFile({ XDG_STATE_HOME: folder }, context);
    const audit = (...argv: string[]) => read(AUDIT_SETTINGS, argv, {}, true);
    expect(audit()).to.deep.include({ cluster: 'mine', etcd });
    expect(audit('--etcd', 'http://e:2379')).to.deep.include({ cluster: 'default', etcd: ['http://e:2379'] });
    expect(refusal(() => audit('--cluster', 'other'))).to.equal(
      'No cluster other runs here, only mine. Elsewhere it takes --etcd.',
    );
  });

  it('ignore what a dev has left behind that is gone, and ask which one when there are two', () => {
    const environment = { XDG_STATE_HOME: folder };
    writeContextFile(environment, { pid: 2 ** 30, cluster: 'gone', resourceManagers: ['127.0.0.1:1'] });
    writeContextFile(environment, { pid: process.pid, cluster: 'one', resourceManagers: ['127.0.0.1:2'] });
    expect(read(JOB_MASTER_SETTINGS, []).cluster).to.equal('one');
    writeContextFile(environment, { pid: process.ppid, cluster: 'two', resourceManagers: ['127.0.0.1:3'] });
    expect(refusal(() => read(JOB_MASTER_SETTINGS, []))).to.contain('Several clusters run here: one');
    expect(read(JOB_MASTER_SETTINGS, ['--cluster', 'two']).resourceManagers).to.deep.equal(['127.0.0.1:3']);
    const elsewhere = refusal(() => read(JOB_MASTER_SETTINGS, ['--cluster', 'three']));
    expect(elsewhere).to.contain('No cluster three runs here, only one, two.');
    writeContextFile(environment, { pid: process.ppid, cluster: 'one', resourceManagers: ['127.0.0.1:4'] });
    const twice = refusal(() => read(JOB_MASTER_SETTINGS, ['--cluster', 'one']));
    expect(twice).to.contain('Say which with --resource-managers.');
  });
});

describe('the rules of the network', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quartermaster-settings-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('refuse to advertise loopback when etcd is elsewhere', () => {
    expect(refusal(() => resourceManager(['--etcd', 'http://10.0.0.1:2379']))).to.equal(
      '--listen 127.0.0.1:7070 is loopback, which nobody on another machine reaches, but etcd is at 10.0.0.1.',
    );
    const argv = [
      '--etcd',
      'http://10.0.0.1:2379',
      '--listen',
      '0.0.0.0:7070',
      '--advertise',
      'localhost:7070',
    ];
    expect(refusal(() => resourceManager(argv))).to.contain('--advertise localhost:7070 is loopback');
  });

  it('refuse to listen everywhere without saying where to be reached', () => {
    expect(refusal(() => taskExecutor('--listen', '0.0.0.0:7071'))).to.contain('--advertise');
  });

  it('refuse a loopback task executor when a resource manager is elsewhere', () => {
    expect(refusal(() => taskExecutor('--resource-managers', 'rm1:7070'))).to.contain(
      'a resource manager is at rm1',
    );
  });

  it('refuse a state file without a name that stays', () => {
    expect(refusal(() => taskExecutor('--state-file', 'x'))).to.contain('needs --id');
  });

  it('refuse half a certificate and half a login', () => {
    expect(refusal(() => resourceManager(['--etcd-cert-file', 'x']))).to.contain('--etcd-key-file');
    expect(refusal(() => resourceManager(['--etcd-user', 'x']))).to.contain('QUARTERMASTER_ETCD_PASSWORD');
  });

  it('demand a secret as soon as one host is off loopback', () => {
    expect(
      proverOf({ secret: undefined, secretFile: undefined }, ['127.0.0.1', '::1', 'localhost']),
    ).to.equal(NO_SECRET);
    const hosts = ['127.0.0.1', 'rm2.example'];
    expect(refusal(() => proverOf({ secret: undefined, secretFile: undefined }, hosts))).to.contain(
      'rm2.example',
    );
    expect(refusal(() => proverOf({ secret: 'short', secretFile: undefined }, hosts))).to.contain(
      '16 characters',
    );
    const secretFile = file('a secret of some length\n');
    const statement = {
      cluster: 'c',
      serverRole: 'resource-manager',
      serverId: 'rm',
      serverInstance: 'i',
      clientNonce: '1',
      serverNonce: '2',
    };
    const proof = proverOf({ secret: undefined, secretFile }, hosts).prove(statement);
    expect(
      proverOf({ secret: 'a secret of some length', secretFile: undefined }, hosts).verify(statement, proof),
    ).to.equal(true);
  });

  it('refuse a secret file that cannot be read', () => {
    expect(refusal(() => proverOf({ secret: undefined, secretFile: '/nowhere/at/all' }, []))).to.contain(
      'cannot be read',
    );
  });
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { resolveSettings } from '../../src/cli/settings/resolve-settings.ts';
import {
  RESOURCE_MANAGER_SETTINGS,
  checkResourceManager,
} from '../../src/cli/settings/resource-manager-settings.ts';
import { environmentName, type Settings } from '../../src/cli/settings/setting.ts';
import { timingOf } from '../../src/cli/settings/timing-settings.ts';
import { TASK_EXECUTOR_SETTINGS, checkTaskExecutor } from '../../src/cli/settings/worker-settings.ts';

const UNITS = 'deploy/systemd';
const RESOURCE_MANAGER_UNIT = 'quartermaster-resource-manager.service';
const TASK_EXECUTOR_UNIT = 'quartermaster-task-executor@.service';
const ETCD_UNIT = 'quartermaster-etcd.service';

/** What systemd puts for `%` in these tests, on a machine called `one`, for the instance `7171`. */
const SPECIFIERS: Readonly<Record<string, string>> = { '%H': 'one', '%i': '7171', '%S': '/var/lib' };

/** The settings of a unit, `ExecStart` as one line. */
function unit(name: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  const lines = readFileSync(join(UNITS, name), 'utf8')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  for (const line of lines) {
    const match = /^(\w+)=(.*)$/.exec(line);
    if (match === null) continue;
    const [, key = '', value = ''] = match;
    settings.set(key, [...(settings.get(key) ?? []), value]);
  }
  return settings;
}

/** The variables of an environment file. */
function environmentFile(name: string): Record<string, string> {
  const lines = readFileSync(join('deploy/environment', name), 'utf8').split('\n');
  return Object.fromEntries(
    lines
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** The flags of a unit's command by name, as systemd would fill them in. */
function flagsOf(name: string, variables: Readonly<Record<string, string>>): Record<string, string> {
  const command = unit(name).get('ExecStart')?.[0] ?? '';
  const filled = command
    .replaceAll(/%[A-Za-z]/g, (specifier) => SPECIFIERS[specifier] ?? specifier)
    .replaceAll(/\$\{(\w+)\}/g, (reference, variable: string) => variables[variable] ?? reference);
  const words = filled.split(/\s+/);
  return Object.fromEntries(
    words.flatMap((word, index) => (word.startsWith('--') ? [[word.slice(2), words[index + 1] ?? '']] : [])),
  );
}

/** The flags by the names of their settings; throws when one does not exist. */
function asSettings(settings: Settings, flags: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(flags).map(([flag, value]) => {
      const known = Object.entries(settings).find(([, setting]) => setting.flag === flag);
      if (known === undefined) throw new Error(`there is no flag --${flag}`);
      return [known[0], value];
    }),
  );
}

function has(program: string): boolean {
  return spawnSync(program, ['--version']).status === 0;
}

describe('the units and environment files of deploy', () => {
  const environment = environmentFile('quartermaster.env');

  it('start a resource manager with settings that it takes', () => {
    const flags = asSettings(RESOURCE_MANAGER_SETTINGS, flagsOf(RESOURCE_MANAGER_UNIT, environment));
    const values = resolveSettings(RESOURCE_MANAGER_SETTINGS, { flags, environment, files: [] });
    checkResourceManager(values);
    expect(values).to.deep.include({ id: 'one', listen: '10.0.0.1:7070', cluster: 'production' });
    expect(values.etcd).to.have.length(3);
    expect(environment['QUARTERMASTER_RESOURCE_MANAGERS']?.split(',')).to.include(values.listen);
  });

  it('start a task executor with settings that it takes, and a state file that it may write', () => {
    const flags = asSettings(TASK_EXECUTOR_SETTINGS, flagsOf(TASK_EXECUTOR_UNIT, environment));
    const values = resolveSettings(TASK_EXECUTOR_SETTINGS, { flags, environment, files: [] });
    checkTaskExecutor(values);
    expect(values).to.deep.include({ id: 'one-7171', listen: '10.0.0.1:7171', slots: 4 });
    const directory = unit(TASK_EXECUTOR_UNIT).get('StateDirectory')?.[0]?.replace('%i', '7171') ?? '';
    expect(values.stateFile).to.equal(`/var/lib/${directory}/state.json`);
  });

  it('use no variable that does not exist', () => {
    const settings = [RESOURCE_MANAGER_SETTINGS, TASK_EXECUTOR_SETTINGS];
    const known = settings.flatMap((each) => Object.keys(each).map((name) => environmentName(name)));
    const used = Object.keys(environment).filter((name) => name !== 'ADDRESS');
    expect(known).to.include.members(used);
  });

  it('start everything again that has ended, for ever, but not with wrong settings', () => {
    for (const name of readdirSync(UNITS)) {
      const settings = unit(name);
      expect(settings.get('Restart'), name).to.deep.equal(['always']);
      expect(settings.get('StartLimitIntervalSec'), name).to.deep.equal(['0']);
    }
    for (const name of [RESOURCE_MANAGER_UNIT, TASK_EXECUTOR_UNIT]) {
      expect(unit(name).get('RestartPreventExitStatus'), name).to.deep.equal(['64']);
    }
  });

  it('give a resource manager the time to release its lease before it is killed', () => {
    const values = resolveSettings(RESOURCE_MANAGER_SETTINGS, { flags: {}, environment, files: [] });
    const { leaseTtlSeconds } = timingOf(values);
    expect(Number(unit(RESOURCE_MANAGER_UNIT).get('TimeoutStopSec')?.[0])).to.be.above(leaseTtlSeconds);
  });

  it('give a task executor the time that a lease takes to lapse before it is killed', () => {
    const values = resolveSettings(TASK_EXECUTOR_SETTINGS, { flags: {}, environment, files: [] });
    const { slotLeaseMs } = timingOf(values);
    const stopSeconds = Number(unit(TASK_EXECUTOR_UNIT).get('TimeoutStopSec')?.[0]);
    expect(stopSeconds * 1_000).to.be.above(slotLeaseMs);
  });

  it('let etcd compact by itself, and grant leases as short as ours', () => {
    const etcd = environmentFile('etcd.env');
    expect(etcd['ETCD_AUTO_COMPACTION_RETENTION']).to.equal('1h');
    const shortestTtlSeconds = Math.ceil((1.5 * Number(etcd['ETCD_ELECTION_TIMEOUT'])) / 1_000);
    const values = resolveSettings(RESOURCE_MANAGER_SETTINGS, { flags: {}, environment, files: [] });
    expect(shortestTtlSeconds).to.be.at.most(timingOf(values).leaseTtlSeconds);
  });

  it('name the three etcd members by the addresses at which they are reached', () => {
    const etcd = environmentFile('etcd.env');
    const members = (etcd['ETCD_INITIAL_CLUSTER'] ?? '').split(',');
    expect(members.map((member) => member.split('=')[0])).to.include(etcd['ETCD_NAME']);
    const peers = members.map((member) => new URL(member.slice(member.indexOf('=') + 1)));
    const clients = (environment['QUARTERMASTER_ETCD'] ?? '').split(',').map((url) => new URL(url));
    expect(peers.map((url) => url.hostname)).to.deep.equal(clients.map((url) => url.hostname));
    const flags = flagsOf(ETCD_UNIT, environment);
    expect(flags['initial-advertise-peer-urls']).to.equal(peers[0]?.origin);
    expect(flags['advertise-client-urls']).to.equal(clients[0]?.origin);
  });

  if (has('etcd')) {
    it('use no flag and no variable that etcd does not have', () => {
      const help = spawnSync('etcd', ['--help'], { encoding: 'utf8' });
      const known = new Set(`${help.stdout}${help.stderr}`.match(/--[a-z][a-z-]+/g) ?? []);
      const variables = Object.keys(environmentFile('etcd.env'));
      expect(variables.every((name) => name.startsWith('ETCD_'))).to.equal(true);
      const fromVariables = variables.map((name) => `--${name.slice(5).toLowerCase().replaceAll('_', '-')}`);
      const fromFlags = Object.keys(flagsOf(ETCD_UNIT, environment)).map((flag) => `--${flag}`);
      for (const flag of [...fromVariables, ...fromFlags]) expect(known.has(flag), flag).to.equal(true);
    });
  }

  if (has('systemd-analyze')) {
    it('pass systemd-analyze verify', () => {
      const directory = mkdtempSync(join(tmpdir(), 'quartermaster-units-'));
      try {
        const paths = readdirSync(UNITS).map((name) => {
          // The programs need not be where they will be installed.
          const text = readFileSync(join(UNITS, name), 'utf8').replace(
            /^ExecStart=\S+/m,
            'ExecStart=/bin/sh',
          );
          const path = join(directory, name);
          writeFileSync(path, text);
          return path;
        });
        // It ends with 0 even when it has to warn.
        const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...paths], { encoding: 'utf8' });
        expect(stderr).to.equal('');
        expect(status).to.equal(0);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }
});

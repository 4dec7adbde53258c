import { expect } from 'chai';
import { CommanderError } from 'commander';
import { accessSync, constants } from 'node:fs';
import type { CommandContext } from '../../../src/cli/command-context.ts';
import { exitCodeOf } from '../../../src/cli/exit-codes.ts';
import { buildProgram, runProgram } from '../../../src/cli/program.ts';
import { formatTable } from '../../../src/cli/table.ts';
import { QuartermasterError } from '../../../src/core/problem.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import { SystemRandomness } from '../../../src/runtime/system-randomness.ts';

let out: string[];
let err: string[];

function context(environment: Record<string, string> = {}): CommandContext {
  [out, err] = [[], []];
  return {
    environment: { XDG_STATE_HOME: '/nowhere', ...environment },
    clock: new SystemClock(),
    randomness: new SystemRandomness(),
    print: (text) => out.push(text),
    warn: (text) => err.push(text),
    isTerminal: false,
    logStream: process.stderr,
    interruption: () => new AbortController().signal,
    insistence: () => new AbortController().signal,
    onUncaught: () => {},
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  };
}

describe('the command line', () => {
  for (const argv of [
    ['nonsense'],
    ['status', '--nonsense'],
    ['drain'],
    ['drain', 'two', 'words'],
    ['drain', 'not a name', '--resource-managers', '127.0.0.1:1'],
    ['history', '--limit', '0', '--resource-managers', '127.0.0.1:1'],
    ['explain', 'seven', '--resource-managers', '127.0.0.1:1'],
    ['doctor', '--etcd', 'nowhere'],
    ['doctor', '--etcd-user', 'somebody'],
    ['forget', 'x', '--kind', 'fish', '--resource-managers', '127.0.0.1:1'],
    ['status', '--resource-managers', 'nowhere'],
    ['status'],
    ['resource-manager', '--slot-renewal-ms', '20000'],
    ['resource-manager', '--etcd', 'http://10.0.0.1:2379'],
    ['resource-manager', '--listen', '0.0.0.0:0', '--advertise', 'rm1.example:7070'],
    ['task-executor'],
    ['task-executor', '--resource-managers', '127.0.0.1:1', '--slots', 'many'],
    ['job-master', '--resource-managers', 'rm1.example:7070'],
    ['dev', '--etcd-members', '2'],
    ['dev', '--silence-ms', '5000'],
    ['drill'],
    ['drill', 'kill-everybody'],
    ['drill', 'kill-leader', '--rounds', '0'],
    ['drill', 'kill-etcd-leader', '--etcd-members', '1'],
    ['drill', 'unplug-leader'],
    ['drill', 'kill-leader', '--network', 'carrier-pigeons'],
    ['drill', 'kill-leader', '--keep', 'src'],
  ]) {
    it(`ends "${argv.join(' ')}" with 64 and says why on standard error only`, async () => {
      expect(await runProgram(argv, context())).to.equal(64);
      expect(err.join('\n')).to.match(/^quartermaster: ./);
      expect(out).to.deep.equal([]);
    });
  }

  it('ends with 2 when nobody can be reached', async () => {
    const argv = ['status', '--resource-managers', '127.0.0.1:1', '--timeout-ms', '500'];
    expect(await runProgram(argv, context())).to.equal(2);
    expect(err.join('')).to.contain('No resource manager answers');
  });

  it('shows help with examples for every command, and ends with 0', async () => {
    const { commands } = await buildProgram(context());
    for (const name of commands.map((command) => command.name())) {
      if (name === 'help') continue;
      expect(await runProgram([name, '--help'], context()), name).to.equal(0);
      expect(out.join('\n')).to.contain('Examples:').and.to.contain(`quartermaster ${name}`);
    }
  });

  it('shows the settings instead of acting with --print-config', async () => {
    const argv = ['status', '--print-config', '--timeout-ms', '77'];
    expect(await runProgram(argv, context({ QUARTERMASTER_RESOURCE_MANAGERS: 'h:1,h:2' }))).to.equal(0);
    expect(JSON.parse(out.join(''))).to.deep.equal({
      resourceManagers: ['h:1', 'h:2'],
      cluster: null,
      timeoutMs: 77,
    });
  });

  it('can be run by its file, also after a build that came later than `npm link`', () => {
    const file = new URL('../../../src/cli/main.js', import.meta.url);
    expect(() => accessSync(file, constants.X_OK)).not.to.throw();
  });

  it('has one exit code for each kind of end', () => {
    const codes = {
      NO_LEADER: 2,
      NOT_LEADER: 2,
      SUSPENDED: 2,
      UNAVAILABLE: 2,
      NO_ANSWER: 2,
      INVALID: 64,
      CONFLICT: 1,
      UNKNOWN_TASK_EXECUTOR: 1,
      INTERNAL: 1,
    } as const;
    for (const [code, exit] of Object.entries(codes)) {
      const problem = { code: code as keyof typeof codes, detail: '' };
      expect(exitCodeOf(new QuartermasterError(problem)), code).to.equal(exit);
    }
    expect(exitCodeOf(new Error('a bug'))).to.equal(1);
    expect(exitCodeOf(new CommanderError(0, 'commander.helpDisplayed', ''))).to.equal(0);
    expect(exitCodeOf(new CommanderError(1, 'commander.unknownOption', ''))).to.equal(64);
  });
});

describe('a table', () => {
  it('has columns of equal width and no trailing spaces', () => {
    expect(
      formatTable(
        ['A', 'LONG'],
        [
          ['xyz', '1'],
          ['x', ''],
        ],
      ),
    ).to.equal('A    LONG\nxyz  1\nx');
  });
});

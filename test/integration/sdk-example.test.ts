import { expect } from 'chai';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { DevRun } from '../support/dev-run.ts';
import { eventually } from '../support/eventually.ts';

/** The block of README that imports that name from the package, with the address of a resource manager that runs. */
function exampleOfReadme(name: string, address: string): string {
  const block = [...readFileSync('README.md', 'utf8').matchAll(/```js\n([\s\S]*?)```/g)]
    .map(([, code]) => code)
    .find((code) => code?.includes(`import { ${name} } from 'quartermaster'`) === true);
  if (block === undefined) throw new Error(`README has no example that imports ${name}`);
  const code = block.replace('127.0.0.1:7070', address);
  expect(code).to.include(address);
  return code;
}

describe('the examples of README', function () {
  this.timeout(90_000);
  let dev: DevRun;

  before(async () => {
    dev = await DevRun.up('--resource-managers', '2', '--task-executors', '1', '--job-slots', '0');
  });

  after(() => dev.end());

  it('get slots, give them back and end by themselves', async () => {
    const [address] = dev.up.resourceManagers.map((each) => each.address);
    const code = exampleOfReadme('JobMaster', String(address));
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], {
      timeout: 60_000,
    });
    const { stdout, stderr } = await run;
    expect(stderr).to.equal('');
    const lines = stdout.trim().split('\n');
    expect(lines.slice(0, 3).every((line) => /^te-1\/\d at .* is ours under grant \d+$/.test(line))).to.equal(
      true,
    );
    expect(lines.slice(3).map((line) => line.replace(/\d is/, 'N is'))).to.deep.equal(
      Array.from({ length: 3 }, () => 'te-1/N is ours no more'),
    );
    const overview = await dev.json<{ slots: { free: number }; jobMasters: number }>('status');
    expect(overview).to.nested.include({ 'slots.free': 4 });
  });

  it('offer a slot, tell who uses it, and drain at SIGTERM', async () => {
    const [address] = dev.up.resourceManagers.map((each) => each.address);
    const code = exampleOfReadme('TaskExecutor', String(address));
    const executor = spawn(process.execPath, ['--input-type=module', '--eval', code]);
    let stdout = '';
    executor.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    const ended = once(executor, 'close');
    const job = dev.start('job-master', '--job', 'poster', '--extended', 'printer=1');
    try {
      await eventually('the slot is used', () => stdout.includes('\n'), 30_000);
      expect(stdout).to.match(/^poster uses slot 0, grant \d+\n$/);
      expect((await job.end()).code).to.equal(0);
      await eventually('the slot is free', () => stdout.endsWith('slot 0 is free: released\n'));
    } finally {
      await job.end('SIGKILL');
      executor.kill('SIGTERM');
    }
    expect(await ended).to.deep.equal([0, null]);
  });
});

import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { DevRun } from '../support/dev-run.ts';

/** The block of README that uses the package by its name. */
function exampleOfReadme(): string {
  const block = [...readFileSync('README.md', 'utf8').matchAll(/```js\n([\s\S]*?)```/g)]
    .map(([, code]) => code)
    .find((code) => code?.includes("from 'quartermaster'") === true);
  if (block === undefined) throw new Error('README has no example that imports quartermaster');
  return block;
}

describe('the example of README', function () {
  this.timeout(90_000);
  let dev: DevRun;

  before(async () => {
    dev = await DevRun.up('--resource-managers', '2', '--task-executors', '1', '--job-slots', '0');
  });

  after(() => dev.end());

  it('gets its slots, gives them back and ends by itself', async () => {
    const [address] = dev.up.resourceManagers.map((each) => each.address);
    const code = exampleOfReadme().replace('127.0.0.1:7070', String(address));
    expect(code).to.include(String(address));
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
});

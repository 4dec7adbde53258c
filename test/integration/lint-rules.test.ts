import { expect } from 'chai';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const OXLINT = resolve('node_modules/.bin/oxlint');

/** What lint must refuse, by the folder in which it is planted. */
const PLANTED: Readonly<Record<string, readonly string[]>> = {
  'src/core': [
    "import 'node:fs';",
    'export const a = Date.now();',
    'export const a = new Date();',
    'export const a = Math.random();',
    'export const a = setTimeout(f, 1);',
    'export const a = performance.now();',
    'export const a = globalThis.Date;',
    'export const a = process.pid;',
  ],
  'src/taskexecutor': [
    'export const a = Date.now();',
    'export const a = Math.random();',
    'export const a = setTimeout(f, 1);',
    'export const a = setInterval(f, 1);',
    'export const a = setImmediate(f);',
    'export const a = performance.now();',
    'export const a = crypto.randomUUID();',
    "export const a = process.env['HOME'];",
    "console.log('a');",
  ],
  'src/runtime': ["export const a = process.env['HOME'];"],
};

describe('the lint rules', () => {
  let folder = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quartermaster-lint-'));
    copyFileSync('.oxlintrc.json', join(folder, '.oxlintrc.json'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  function findings(files: Readonly<Record<string, string>>): string {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
    const { stdout } = spawnSync(OXLINT, ['--format=unix'], { cwd: folder, encoding: 'utf8' });
    return stdout;
  }

  it('refuse time, chance, the environment and input or output where they do not belong', () => {
    const planted = Object.entries(PLANTED).flatMap(([layer, lines]) =>
      lines.map((line, index) => ({ file: `${layer}/planted-${index}.ts`, line })),
    );
    const found = findings(Object.fromEntries(planted.map(({ file, line }) => [file, `${line}\n`])));
    for (const { file, line } of planted) expect(found, `${file}: ${line}`).to.include(`${file}:1:`);
  });
});

import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const COMMANDS = 'dist/src/cli/commands';

interface Loaded {
  readonly packages: Set<string>;
  /** Files that import something only when it is needed. */
  readonly late: string[];
}

/** What a command loads before it runs, from the compiled files. */
function loadedBy(command: string): Loaded {
  const files = new Set<string>();
  const loaded: Loaded = { packages: new Set(), late: [] };
  const load = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    const text = readFileSync(file, 'utf8');
    if (/\bimport\(/.test(text)) loaded.late.push(file);
    for (const [, specifier = ''] of text.matchAll(/^(?:import|export)\b[^;]*?'([^']+)';/gm)) {
      if (specifier.startsWith('.')) load(join(dirname(file), specifier));
      else loaded.packages.add(specifier);
    }
  };
  load(join(COMMANDS, `${command}-command.js`));
  return loaded;
}

describe('the modules of a command', () => {
  it('are all there before a resource manager runs, so that no take-over waits for one', () => {
    const { packages, late } = loadedBy('resource-manager');
    expect([...packages]).to.include.members(['etcd3', 'ws', 'express']);
    expect(late).to.deep.equal([]);
  });

  for (const command of ['task-executor', 'job-master', 'dev', 'status', 'leader']) {
    it(`leave etcd's client out of ${command}`, () => {
      expect([...loadedBy(command).packages]).to.not.include.members(['etcd3']);
    });
  }
});

import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { ALL_MUTANTS } from './all-mutants.ts';
import { patched, patchedFiles } from './planted-copy.ts';
import { readSeedLine } from './run-check.ts';

describe('the mutants', () => {
  it('have a name of their own each', () => {
    const names = ALL_MUTANTS.map(({ name }) => name);
    expect(names).to.deep.equal([...new Set(names)]);
  });

  for (const { name, patches } of ALL_MUTANTS) {
    it(`can be planted in what is compiled now (${name})`, () => {
      expect(patches).to.not.be.empty;
      expect(() => patchedFiles(patches)).to.not.throw();
    });
  }

  it('are looked for only by tests that are there', () => {
    for (const check of ALL_MUTANTS.flatMap(({ checks }) => checks)) {
      if (check.kind === 'test')
        expect(readFileSync(`test/${check.file}`, 'utf8'), check.file).to.include(check.title);
    }
  });

  it('are found where a scenario says which seed has broken what', () => {
    const broke = 'seed 12 broke G3, 4711.0 ms into it: two hands';
    expect(readSeedLine(broke)).to.deep.equal({ finding: 'G3, 4711.0 ms into it: two hands', seed: 12 });
    const threw = 'seed 7, at 31 ms: G8: no leader; replay: make simulate SCENARIO=trouble SEED=7';
    expect(readSeedLine(threw)).to.deep.equal({ finding: 'G8: no leader', seed: 7 });
    expect(readSeedLine('seed 7: 31 events, 2 broken links')).to.deep.equal({ passed: 1 });
    expect(readSeedLine('200 seeds passed, 0 failed, in 9.1 s on 1 threads')).to.deep.equal({ passed: 200 });
    expect(readSeedLine('Error: seed 7 is unreadable')).to.deep.equal({});
  });

  it('are not found by a program that died, nor by what breaks no guarantee', () => {
    for (const line of [
      'seed 7: its thread ended; replay: make simulate SEED=7',
      "seed 7 broke Cannot, 31.0 ms into it: Cannot read properties of undefined (reading 'x')",
      'seed 7, at 31 ms: nobody is next in line; replay: make simulate SCENARIO=crash SEED=7',
      'seed 7, at 31 ms: slot.claim is not a function; replay: make simulate SCENARIO=trouble SEED=7',
    ])
      expect(readSeedLine(line), line).to.deep.equal({});
  });

  it('are refused when their text is not found exactly once', () => {
    const patch = { file: 'a.js', from: 'guard();', to: '' };
    expect(patched('a.js', 'guard();\n', [patch])).to.equal('\n');
    expect(() => patched('a.js', '', [patch])).to.throw('holds 0 times');
    expect(() => patched('a.js', 'guard(); guard();', [patch])).to.throw('holds 2 times');
  });
});

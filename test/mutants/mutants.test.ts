import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { ALL_MUTANTS } from './all-mutants.ts';
import { patched, patchedFiles } from './planted-copy.ts';

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

  it('are refused when their text is not found exactly once', () => {
    const patch = { file: 'a.js', from: 'guard();', to: '' };
    expect(patched('a.js', 'guard();\n', [patch])).to.equal('\n');
    expect(() => patched('a.js', '', [patch])).to.throw('holds 0 times');
    expect(() => patched('a.js', 'guard(); guard();', [patch])).to.throw('holds 2 times');
  });
});

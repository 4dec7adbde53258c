import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolder, readPlan } from '../../../../src/cli/cluster/kept-plan.ts';
import { problemOf } from '../../../support/problem-of.ts';

const schema = z.object({ ports: z.array(z.int()) });

describe('a kept plan', () => {
  let folder = '';
  let file = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'quartermaster-plan-'));
    file = join(folder, 'plan.json');
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is null where there is none yet', async () => {
    expect(await readPlan(file, schema)).to.equal(null);
  });

  for (const text of ['', 'garbage', '[]', '{"ports":["x"]}']) {
    it(`is refused, with its file named, when it is damaged: ${JSON.stringify(text)}`, async () => {
      writeFileSync(file, text);
      const { code, detail } = await problemOf(readPlan(file, schema));
      expect(code).to.equal('INVALID');
      expect(detail).to.include(file);
    });
  }

  it('is refused where there can be no folder', async () => {
    writeFileSync(file, '');
    const { code, detail } = await problemOf(makeFolder(join(file, 'below')));
    expect(code).to.equal('INVALID');
    expect(detail).to.include(file);
  });
});

import { expect } from 'chai';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { devPlan, forgetPlan } from '../../../../src/cli/dev/dev-plan.ts';
import type { QuartermasterError } from '../../../../src/core/problem.ts';
import { SystemRandomness } from '../../../../src/runtime/system-randomness.ts';

describe('the plan of dev', () => {
  let folder: string;
  const chance = new SystemRandomness();
  const wanted = { cluster: 'c', resourceManagers: 3, taskExecutors: 2 };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qm-plan-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('has a port for each process, below those that the system gives away', async () => {
    const { resourceManagers, taskExecutors } = await devPlan(folder, wanted, chance);
    const ports = new Set([...resourceManagers, ...taskExecutors]);
    expect(ports.size).to.equal(5);
    for (const port of ports) expect(port).to.be.within(20_000, 29_999);
  });

  it('is the same again in the same folder, with ports added for processes that are new', async () => {
    const first = await devPlan(folder, wanted, chance);
    expect(await devPlan(folder, wanted, chance)).to.deep.equal(first);
    const more = await devPlan(folder, { ...wanted, taskExecutors: 4 }, chance);
    expect(more.resourceManagers).to.deep.equal(first.resourceManagers);
    expect(more.taskExecutors.slice(0, 2)).to.deep.equal(first.taskExecutors);
    expect(more.taskExecutors).to.have.length(4);
  });

  it('has other ports once it was forgotten', async () => {
    const first = await devPlan(folder, wanted, chance);
    await forgetPlan(folder);
    expect(await devPlan(folder, wanted, chance)).not.to.deep.equal(first);
  });

  it('refuses a folder of another cluster', async () => {
    await devPlan(folder, wanted, chance);
    let error: unknown;
    await devPlan(folder, { ...wanted, cluster: 'd' }, chance).catch((each: unknown) => (error = each));
    expect((error as QuartermasterError).code).to.equal('CONFLICT');
  });
});

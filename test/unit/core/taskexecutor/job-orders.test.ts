import { expect } from 'chai';
import type { JobId } from '../../../../src/core/ids.ts';
import { JobOrders } from '../../../../src/core/taskexecutor/job-orders.ts';
import { asker } from '../../../support/taskexecutor/book-driver.ts';

describe('JobOrders', () => {
  it('forgets the jobs heard of longest ago, never one that holds a lease', () => {
    const orders = new JobOrders();
    for (let n = 0; n < 2_000; n++) {
      const who = asker(`jm-${n}`, n, `job-${n}`);
      orders.learn(who, who.order);
    }
    orders.prune(() => new Set(['job-3' as JobId]));
    const known = orders.known().map(({ jobId }) => jobId);
    expect(known).to.have.length(1_025);
    expect(known[0]).to.equal('job-3');
    expect(known.at(-1)).to.equal('job-1999');
  });

  it('supersedes whoever was registered no later than the one it knows, except that one', () => {
    const orders = new JobOrders();
    const newest = asker('jm-2', 20);
    expect(orders.supersedes(asker('jm-1', 1), asker('jm-1', 1).order)).to.equal(false);
    expect(orders.learn(newest, newest.order)).to.equal(true);
    expect(orders.learn(newest, newest.order)).to.equal(false);
    expect(orders.supersedes(asker('jm-1', 19), asker('jm-1', 19).order)).to.equal(true);
    expect(orders.supersedes(asker('jm-1', 20), asker('jm-1', 20).order)).to.equal(true);
    expect(orders.supersedes(asker('jm-3', 21), asker('jm-3', 21).order)).to.equal(false);
    expect(orders.supersedes(newest, asker('jm-2', 1).order)).to.equal(false);
  });
});

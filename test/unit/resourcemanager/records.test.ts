import { expect } from 'chai';
import type { KeyValue } from '../../../src/ha/coordination-store.ts';
import { JOB_MASTER_FORMAT, TASK_EXECUTOR_FORMAT } from '../../../src/resourcemanager/records.ts';

const writtenBy = { leaderSessionId: 's', generation: 1, epoch: '5' };
const record = {
  instanceId: 'i',
  address: 'h:1',
  slots: 2,
  provider: null,
  ...writtenBy,
  fromTheFuture: [1],
};

function stored(value: object): KeyValue {
  return {
    key: 'k',
    value: JSON.stringify(value),
    createRevision: 1n,
    modRevision: 1n,
    version: 1n,
    lease: 0n,
  };
}

describe('records in etcd', () => {
  it('of a newer version are read, and what they say beside the known is kept when one is marked', () => {
    const read = TASK_EXECUTOR_FORMAT.decode(stored(record))!;
    expect(read).to.include({ instanceId: 'i', gone: false, knownBefore: false });
    expect(JSON.parse(TASK_EXECUTOR_FORMAT.encode({ ...read, gone: true }))).to.deep.equal({
      ...record,
      superseded: [],
      knownBefore: false,
      gone: true,
    });
    const job = { jobMasterId: 'm', ...writtenBy, fromTheFuture: [1] };
    expect(JOB_MASTER_FORMAT.decode(stored(job))).to.include({ jobMasterId: 'm', epoch: 5n });
  });
});

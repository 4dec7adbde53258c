import { expect } from 'chai';
import fc from 'fast-check';
import { EtcdCluster } from '../../src/cli/cluster/etcd-cluster.ts';
import type {
  Compare,
  KeyRange,
  Operation,
  StoreEndpoint,
  Transaction,
} from '../../src/ha/coordination-store.ts';
import { StoreError } from '../../src/ha/coordination-store.ts';
import { InMemoryEtcd } from '../../src/ha/embedded/in-memory-etcd.ts';
import { EtcdCoordinationStore } from '../../src/ha/etcd/etcd-coordination-store.ts';
import { SystemClock } from '../../src/runtime/system-clock.ts';
import { RecordingWatchListener } from '../contract/store-under-test.ts';
import { eventually } from '../support/eventually.ts';

/** Revisions in transactions of the plan count from the start of its run. */
type Plan = readonly Transaction[];

const keys = fc.constantFrom('a', 'a/1', 'a/2', 'ab', 'b', 'é', '\u{1f600}');
const values = fc.constantFrom('', 'x', 'y', 'xx');
const ranges: fc.Arbitrary<KeyRange> = fc.oneof(
  keys.map((key) => ({ key })),
  fc.constantFrom('', 'a', 'a/', 'zz').map((key) => ({ key, prefix: true })),
);
const results = fc.constantFrom('==', '!=', '>', '<');
const compares: fc.Arbitrary<Compare> = fc.oneof(
  fc
    .record({ range: ranges, result: results, operand: values })
    .map(({ range, ...rest }): Compare => ({ ...range, target: 'value', ...rest })),
  fc
    .record({
      range: ranges,
      result: results,
      target: fc.constantFrom('create', 'mod', 'version', 'lease'),
      operand: fc.bigInt({ min: 0n, max: 6n }),
    })
    .map(({ range, ...rest }): Compare => ({ ...range, ...rest })),
);
const operations: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('put' as const), key: keys, value: values }) },
  { weight: 1, arbitrary: ranges.map((range): Operation => ({ type: 'delete', ...range })) },
  {
    weight: 1,
    arbitrary: fc
      .record({ range: ranges, limit: fc.nat({ max: 3 }) })
      .map(({ range, limit }): Operation => ({ type: 'range', ...range, limit })),
  },
);
const plans: fc.Arbitrary<Plan> = fc.array(
  fc.record({
    compare: fc.array(compares, { maxLength: 2 }),
    success: fc.array(operations, { maxLength: 4 }),
    failure: fc.array(operations, { maxLength: 3 }),
  }),
  { minLength: 5, maxLength: 12 },
);

/** Moves a plan under a prefix and to the revision at which its run starts. */
function place(transaction: Transaction, prefix: string, base: bigint): Transaction {
  const moved = <T extends { readonly key: string }>(item: T): T => ({ ...item, key: prefix + item.key });
  return {
    compare: transaction.compare.map((compare) =>
      (compare.target === 'create' || compare.target === 'mod') && compare.operand > 0n
        ? { ...moved(compare), operand: base + compare.operand }
        : moved(compare),
    ),
    success: transaction.success.map(moved),
    failure: transaction.failure.map(moved),
  };
}

/** Everything that a store said to a plan, and then to a watch over it, with revisions from the start of the run. */
async function run(endpoint: StoreEndpoint, plan: Plan, prefix: string): Promise<unknown[]> {
  const mark: Operation = { type: 'put', key: `${prefix}~`, value: '' };
  const { revision: base } = await endpoint.transact({ compare: [], success: [mark], failure: [] }, 5_000);
  const said: unknown[] = [];
  for (const transaction of plan) {
    const answer = await endpoint
      .transact(place(transaction, prefix, base), 5_000)
      .catch((error: unknown) => {
        if (error instanceof StoreError) return error.kind;
        throw error;
      });
    said.push(answer);
  }
  await endpoint.transact({ compare: [], success: [{ ...mark, value: 'end' }], failure: [] }, 5_000);
  const listener = new RecordingWatchListener();
  const watch = endpoint.watch({ key: prefix, prefix: true }, base + 1n, listener);
  await eventually('the watch has seen all', () => listener.texts.at(-1) === `put ${prefix}~=end`);
  watch.cancel();
  said.push(listener.events);
  return JSON.parse(
    JSON.stringify(said, (name, value: unknown) => {
      if (typeof value !== 'bigint') return value;
      return String(/revision/i.test(name) && value > 0n ? value - base : value);
    }),
  ) as unknown[];
}

describe('the model of etcd', function () {
  this.timeout(60_000);
  let cluster: EtcdCluster;

  before(async () => {
    cluster = await EtcdCluster.start();
  });
  after(() => cluster?.stop());

  it('says the same as etcd to any transactions, and to a watch over them', async () => {
    const clock = new SystemClock();
    const real = new EtcdCoordinationStore({ endpoints: cluster.urls, clock });
    const model = new InMemoryEtcd({ clock }).connect('test');
    let runs = 0;
    try {
      await fc.assert(
        fc.asyncProperty(plans, async (plan) => {
          const prefix = `/${++runs}/`;
          const expected = await run(real.endpoints[0], plan, prefix);
          expect(await run(model.endpoints[0], plan, prefix)).to.deep.equal(expected);
        }),
        { numRuns: 60 },
      );
    } finally {
      await Promise.all([real.close(), model.close()]);
    }
  });
});

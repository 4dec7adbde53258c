import { toJson } from '../../src/rpc/wire-format.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';
import { startEtcdSide } from './etcd-side.ts';
import { startModelSide } from './model-side.ts';
import { LEASES, OperationDrawer, placed, type StoreOperation } from './store-operation.ts';
import type { StoreSide } from './store-side.ts';
import { MachineStalled, StoreWitness } from './store-witness.ts';

/** What etcd said to one operation, revisions in place. */
export interface Said {
  readonly operation: StoreOperation;
  readonly answer: string;
}

/** Operations before a difference that are shown. */
const SHOWN = 8;
/** Every so many operations there is a wait for leases that run out. */
const EXPIRE_EVERY = 2_500;
const MOST_STALLS = 5;
/** Operations at the end of a session that bring to light what is left. */
const CLOSING = 7;

/** After that time no more operations are begun than so many, and those that close the session. */
export interface ComparisonLimits {
  readonly leastOperations: number;
  readonly limitMs: number;
}

/** The model did not say what etcd said. */
export class ModelDiffers extends Error {
  /** Number of the operation, from 0. */
  readonly index: number;

  constructor(
    index: number,
    before: readonly Said[],
    operation: StoreOperation,
    etcd: string,
    model: string,
  ) {
    const shown = before
      .slice(-SHOWN)
      .map(({ operation: each, answer }) => `  ${toJson(each)}\n    -> ${answer}`);
    super(
      `operation ${index} is answered in another way:\n  ${toJson(operation)}\n` +
        `    etcd  -> ${etcd}\n    model -> ${model}\n  after\n${shown.join('\n')}`,
    );
    this.index = index;
  }
}

/**
 * The operations of one session, which depend on the seed and the number of the session only, but for the time to
 * live of leases that run out: the shorter it is, the less a machine may stall.
 */
export function drawSession(
  seed: number,
  session: number,
  count: number,
  shortTtlSeconds = 3,
): StoreOperation[] {
  const random = new SeededRandomness(Math.imul(seed, 0x9e37_79b1) + session * 7_919);
  const drawer = new OperationDrawer(random, shortTtlSeconds);
  const operations = Array.from({ length: count }, () => drawer.next(EXPIRE_EVERY));
  // So that all that is left is compared: every key, and what every watch has said.
  const watches = [1, 2, 3, 4, 5].map((watch): StoreOperation => ({ type: 'unwatch', watch }));
  const leases: StoreOperation = { type: 'expire', kept: LEASES.filter((lease) => lease % 2n === 0n) };
  return [...operations, leases, ...watches, { type: 'range', key: '', prefix: true }];
}

/**
 * Carries out the operations at a new etcd and at a new model, one after the other, and resolves to what both
 * have said; rejects with `ModelDiffers` as soon as it is not the same.
 */
export async function compareWithEtcd(
  operations: readonly StoreOperation[],
  onOperation: (said: Said) => void = () => {},
  limits: ComparisonLimits = { leastOperations: 0, limitMs: Infinity },
): Promise<Said[]> {
  for (let stalls = 0; ; stalls++) {
    const [etcd, model] = [await startEtcdSide(), startModelSide()];
    try {
      return await compare(operations, etcd, model, onOperation, limits);
    } catch (error) {
      if (!(error instanceof MachineStalled) || stalls === MOST_STALLS) throw error;
      process.stderr.write(`${error.message} Once more.\n`);
    } finally {
      await Promise.all([etcd.stop(), model.stop()]);
    }
  }
}

async function compare(
  operations: readonly StoreOperation[],
  etcd: StoreSide,
  model: StoreSide,
  onOperation: (said: Said) => void,
  { leastOperations, limitMs }: ComparisonLimits,
): Promise<Said[]> {
  const endMs = performance.now() + limitMs;
  const [ofEtcd, ofModel] = [new StoreWitness(etcd), new StoreWitness(model)];
  const saidBefore: Said[] = [];
  for (const [index, drawn] of operations.entries()) {
    const closing = index >= operations.length - CLOSING;
    if (!closing && index >= leastOperations && performance.now() > endMs) continue;
    const operation = placed(drawn, ofEtcd);
    const answer = await ofEtcd.perform(operation);
    await judge(saidBefore.length, saidBefore.slice(-SHOWN), { operation, answer }, ofModel);
    saidBefore.push({ operation, answer });
    onOperation({ operation, answer });
  }
  return saidBefore;
}

/** Holds a model against what etcd has said before; rejects with `ModelDiffers` at the first difference. */
export async function compareWithRecord(record: readonly Said[], model: StoreSide): Promise<void> {
  const witness = new StoreWitness(model);
  try {
    for (const [index, said] of record.entries()) {
      await judge(index, record.slice(Math.max(0, index - SHOWN), index), said, witness);
    }
  } finally {
    await model.stop();
  }
}

async function judge(
  index: number,
  before: readonly Said[],
  { operation, answer }: Said,
  model: StoreWitness,
): Promise<void> {
  let said: string;
  try {
    said = await model.perform(operation);
  } catch (error) {
    said = `(${error instanceof Error ? error.message : String(error)})`;
  }
  if (said !== answer) throw new ModelDiffers(index, before, operation, answer, said);
}

/**
 * A shorter list of operations in which the model still differs, found by leaving out what can be left out until
 * `limitMs` have passed; and the difference.
 */
export async function shrink(
  operations: readonly StoreOperation[],
  found: ModelDiffers,
  limitMs: number,
): Promise<{ readonly operations: readonly StoreOperation[]; readonly difference: ModelDiffers }> {
  let best = operations.slice(0, found.index + 1);
  let difference = found;
  const endMs = performance.now() + limitMs;
  const tryWith = async (candidate: readonly StoreOperation[]): Promise<boolean> => {
    try {
      await compareWithEtcd(candidate);
      return false;
    } catch (error) {
      if (!(error instanceof ModelDiffers)) throw error;
      best = candidate.slice(0, error.index + 1);
      difference = error;
      return true;
    }
  };
  for (let size = Math.ceil(best.length / 2); performance.now() < endMs; ) {
    const before = best.length;
    // From the end: what comes last matters most, and the last one is the difference itself.
    for (
      let end = best.length - 1;
      end > 0 && performance.now() < endMs;
      end = Math.min(end, best.length) - size
    ) {
      await tryWith([...best.slice(0, Math.max(0, end - size)), ...best.slice(end)]);
    }
    if (size === 1 && best.length === before) break;
    size = Math.max(1, Math.floor(size / 2));
  }
  return { operations: best, difference };
}

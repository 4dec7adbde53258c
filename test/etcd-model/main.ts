import { ModelDiffers, compareWithEtcd, drawSession, type Said, shrink } from './compare-stores.ts';
import { OperationTally } from './operation-tally.ts';

/** Operations of one session, which has an etcd of its own. */
const SESSION = 5_000;
/** Sessions at the same time, so that one waits for leases while the other goes on. */
const LANES = 4;
/** Long enough for a machine that is busy with other things. */
const SHORT_TTL_SECONDS = 6;
const SHRINK_MS = 120_000;
const PROGRESS_MS = 5_000;

/** `OPERATIONS=n` so many of them, `SEED=n` the same again, `FROM=n` from that session on. */
async function main(): Promise<number> {
  const total = Number(process.env['OPERATIONS'] ?? 20_000);
  const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
  const from = Number(process.env['FROM'] ?? 0);
  if (![total, seed, from].every((each) => Number.isSafeInteger(each) && each >= 0) || total === 0) {
    throw new Error('OPERATIONS, SEED and FROM are whole numbers.');
  }
  process.stdout.write(`${total} operations, seed ${seed}\n`);
  const startMs = performance.now();
  const tally = new OperationTally();
  const seconds = (): string => ((performance.now() - startMs) / 1_000).toFixed(1);
  const progress = setInterval(
    () => process.stderr.write(`${seconds()} s: ${tally.operations} of ${total} operations\n`),
    PROGRESS_MS,
  );
  let next = from;
  let failed = false;
  const lane = async (): Promise<void> => {
    for (let session = next++; !failed && (session - from) * SESSION < total; session = next++) {
      const count = Math.min(SESSION, total - (session - from) * SESSION);
      const drawn = drawSession(seed, session, count, SHORT_TTL_SECONDS);
      try {
        await compareWithEtcd(drawn, (said: Said) => tally.add(said));
      } catch (error) {
        failed = true;
        if (!(error instanceof ModelDiffers)) throw error;
        process.stdout.write(`seed ${seed}, session ${session}: ${error.message}\n`);
        process.stdout.write(`again: make model SEED=${seed} FROM=${session} OPERATIONS=${count}\n`);
        const { operations, difference } = await shrink(drawn, error, SHRINK_MS);
        process.stdout.write(`shrunk to ${operations.length} operations: ${difference.message}\n`);
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: LANES }, lane));
  clearInterval(progress);
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
  process.stdout.write(`${tally.table()}\n`);
  if (failed) return 1;
  const missing = total >= 20_000 ? tally.neverSeen() : [];
  for (const kind of missing) process.stdout.write(`never seen: ${kind}\n`);
  process.stdout.write(`${tally.operations} operations in ${seconds()} s, seed ${seed}: no difference\n`);
  return missing.length === 0 ? 0 : 1;
}

process.exitCode = await main();

import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { compare } from './compare.ts';
import { countsFrom } from './counts.ts';
import { ETCD3_TTL_SECONDS } from './etcd3-election.ts';
import { machineMs } from './machine-time.ts';
import { renderReport, renderRound } from './report.ts';
import type { Round } from './round.ts';
import { summarize } from './summary.ts';

const SYSTEMS = ['quartermaster', 'etcd3 Election', 'etcd3 + resign on SIGTERM', 'etcdctl elect'];
/** As they came out on a machine with little else to do; for the announcement only. */
const SECONDS = { start: 15, round: 20, etcdctlRound: 66 };

/** `ROUNDS` for each fault and system, `ETCDCTL_ROUNDS` of etcdctl; `JSON=1` prints one line of JSON instead of the table. */
async function main(): Promise<void> {
  const { rounds, etcdctlRounds } = countsFrom(process.env);
  const seconds = Math.max(rounds * SECONDS.round, etcdctlRounds * SECONDS.etcdctlRound) + SECONDS.start;
  const startMs = machineMs();
  const say = (line: string): void => {
    const passed = ((machineMs() - startMs) / 1_000).toFixed(0).padStart(4);
    process.stderr.write(`${passed} of about ${seconds} s  ${line}\n`);
  };
  const others = etcdctlRounds === 0 ? '' : ', etcdctl elect (TTL 60 s)';
  say(
    `starting 3 members of etcd, then 3 candidates each: quartermaster (TTL ${DEFAULT_TIMING.leaseTtlSeconds} s), ` +
      `etcd3 Election (TTL ${ETCD3_TTL_SECONDS} s)${others}`,
  );
  const played: Round[] = [];
  await compare({
    rounds,
    etcdctlRounds,
    onRound: (round) => {
      played.push(round);
      say(renderRound(round));
    },
  });
  const summaries = summarize(played, SYSTEMS);
  const json = process.env['JSON'] === '1' || process.argv.includes('--json');
  const text = json ? JSON.stringify({ summaries, rounds: played }) : renderReport(summaries, played);
  process.stdout.write(`${text}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

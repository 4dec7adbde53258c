import { leaderAnswer } from '../../http/answers.ts';
import type { CommandContext } from '../command-context.ts';
import { pause } from '../pause.ts';
import type { ClusterClient } from './cluster-client.ts';
import type { Leader } from './leader-watch.ts';

const POLL_MS = 20;

/** The first leader of whom that is true; null when there is none within `timeoutMs`, or after Ctrl-C. */
export async function awaitLeader(
  context: CommandContext,
  client: ClusterClient,
  timeoutMs: number,
  isMeant: (leader: Leader) => boolean,
): Promise<Leader | null> {
  const { clock } = context;
  const endMs = clock.monotonicMs() + timeoutMs;
  const signal = context.interruption();
  while (clock.monotonicMs() < endMs && !signal.aborted) {
    const leader = await client.read('/v1/leader', leaderAnswer).catch(() => null);
    if (leader !== null && isMeant(leader)) return leader;
    await pause(clock, POLL_MS, signal);
  }
  return null;
}

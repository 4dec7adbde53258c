import { Agent, request } from 'undici';
import type { z } from 'zod';
import { compareTokens, type FencingToken } from '../../core/fencing-token.ts';
import { leaderAnswer } from '../../http/answers.ts';
import { DEFAULT_EVENT_STREAM_BOUNDS } from '../../http/event-stream.ts';
import type { Clock } from '../../runtime/clock.ts';
import { pause } from '../pause.ts';
import { SilenceWatch } from './silence-watch.ts';
import { serverEvents, type ServerEvent } from './server-events.ts';

type Token = Pick<FencingToken, 'generation' | 'epoch'>;

export type Leader = z.output<typeof leaderAnswer>;

export interface LeaderWatchOptions {
  readonly resourceManagers: readonly string[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The leader at first, then each change; null when there is none or nobody answers. */
  readonly onLeader: (leader: Leader | null) => void;
}

/** A stream that carries not even its comments for this long is left for another one, in milliseconds. */
export const SILENCE_MS = 2.5 * DEFAULT_EVENT_STREAM_BOUNDS.keepAliveMs;
const PAUSE_MS = 200;

/**
 * Tells each change of leader until the signal aborts, going on with the next resource manager when one is
 * lost. Resolves then; never rejects.
 */
export async function watchLeader(options: LeaderWatchOptions): Promise<void> {
  const { signal, clock } = options;
  // The watch over silence has the only say.
  const agent = new Agent({ connect: { timeout: 0 }, headersTimeout: 0, bodyTimeout: 0 });
  const tell = changesOnly(options.onLeader);
  while (!signal.aborted) {
    let reached = false;
    for (const address of options.resourceManagers) {
      reached = (await follow(address, agent, options, tell)) || reached;
      if (signal.aborted) break;
    }
    if (!reached && !signal.aborted) tell(null);
    await pause(clock, PAUSE_MS, signal);
  }
  await agent.destroy();
}

/** Follows the stream of one resource manager until it ends or falls silent; whether it said anything. */
async function follow(
  address: string,
  agent: Agent,
  { clock, signal }: LeaderWatchOptions,
  tell: (leader: Leader | null) => void,
): Promise<boolean> {
  const silence = new SilenceWatch(clock, SILENCE_MS);
  let reached = false;
  try {
    const { statusCode, body } = await request(`http://${address}/v1/leader/watch`, {
      dispatcher: agent,
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (statusCode !== 200) {
      await body.dump();
      return false;
    }
    for await (const event of serverEvents(silence.listen(body))) {
      const leader = leaderOf(event);
      if (leader !== undefined) tell(leader);
      reached = true;
    }
  } catch {
    // Lost, refused or silent: the next one may know.
  } finally {
    silence.close();
  }
  return reached;
}

/** Undefined for an event that says nothing about the leader. */
function leaderOf({ event, data }: ServerEvent): Leader | null | undefined {
  if (event === 'no-leader') return null;
  if (event !== 'leader') return undefined;
  const parsed = leaderAnswer.safeParse(JSON.parse(data));
  return parsed.success ? parsed.data : undefined;
}

/** Leaves out repetitions, and what a resource manager says that lags behind the one asked before it. */
function changesOnly(onLeader: (leader: Leader | null) => void): (leader: Leader | null) => void {
  let last: Leader | null | undefined;
  let highest: Token | null = null;
  return (leader) => {
    if (leader === null) {
      if (last !== null) onLeader((last = null));
      return;
    }
    const token = { generation: leader.generation, epoch: BigInt(leader.epoch) };
    if (highest !== null && compareTokens(token, highest) < 0) return;
    if (last?.leaderSessionId === leader.leaderSessionId) return;
    highest = token;
    last = leader;
    onLeader(leader);
  };
}

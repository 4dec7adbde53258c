import { claimsOf, overlapMs } from './claims.ts';
import { effectsOfClaims, ordersOf, type Effect, type Orders } from './effects.ts';
import type { Contest, Leader } from './contest.ts';
import { machineMs } from './machine-time.ts';
import type { Fault, TermEnded } from './system.ts';
import { within } from './within.ts';

/** What came of one fault. */
export interface Round {
  readonly system: string;
  readonly fault: Fault;
  readonly from: string;
  readonly to: string | null;
  /** From the signal until the successor leads in etcd and says so itself; null when nobody did in time. */
  readonly tookOverMs: number | null;
  /** The part of it until etcd shows the successor at the head of the line. */
  readonly inEtcdMs: number | null;
  /** For how long two candidates claimed to lead. */
  readonly overlapMs: number;
  /** From the signal until something had effect that the successor did; null when nothing had. */
  readonly firstEffectMs: number | null;
  /** What had effect since the signal, and how much of it was the old leader's after etcd showed the successor. */
  readonly effects: { readonly accepted: number; readonly late: number };
  /** How the old leader's term ended, where that is written down. */
  readonly termEnded: string | null;
  /** What was not as it should be. */
  readonly remark: string | null;
}

const SIGNALS = { crash: 'SIGKILL', sigterm: 'SIGTERM', pause: 'SIGSTOP' } as const;
/** How long a stopped leader sleeps on when it has a successor. */
const SLEEP_ON_MS = 500;
/** How long a woken leader is watched at least. */
const WATCH_WOKEN_MS = 1_000;
/** How long a successor may take to have an effect. */
const EFFECT_LIMIT_MS = 10_000;
const QUIET_LIMIT_MS = 30_000;

/** Does this to the leader of a contest at rest and follows it to its end. `onSignal` is called when the signal is sent. */
export async function playRound(contest: Contest, fault: Fault, onSignal: () => void): Promise<Round> {
  const old = contest.leader;
  if (old === null) throw new Error(`nobody leads in ${contest.system.name}`);
  contest.forget();
  const startMs = machineMs();
  contest.signal(old.candidate, SIGNALS[fault]);
  onSignal();
  const { system } = contest;
  const taken = await successorOf(contest, old);
  const orders = (): Orders | null =>
    taken === null ? null : ordersOf(effectsIn(contest, old, taken.epoch), taken.epoch, taken.inEtcdAtMs);
  await within(EFFECT_LIMIT_MS, () => taken === null || orders()?.firstAtMs !== null);
  if (fault === 'pause') await wake(contest, old.candidate);
  const quiet = await within(QUIET_LIMIT_MS, () => !contest.claims(old.candidate));
  const { firstAtMs, accepted, late } = orders() ?? { firstAtMs: null, accepted: 0, late: 0 };
  const ended = await system.termEnd(old.epoch, fault);
  return {
    system: system.name,
    fault,
    from: old.candidate,
    to: taken?.by ?? null,
    tookOverMs: taken === null ? null : Math.max(taken.inEtcdAtMs, taken.saidAtMs) - startMs,
    inEtcdMs: taken === null ? null : taken.inEtcdAtMs - startMs,
    firstEffectMs: firstAtMs === null ? null : firstAtMs - startMs,
    effects: { accepted, late },
    overlapMs: overlapMs(claimsOf(contest.reports)),
    termEnded: ended?.how ?? null,
    remark: remarkOn(old.candidate, quiet, ended),
  };
}

function effectsIn(contest: Contest, old: Leader, successorEpoch: bigint): readonly Effect[] {
  return contest.system.fences ? contest.effects : effectsOfClaims(contest.reports, old, successorEpoch);
}

function remarkOn(candidate: string, quiet: boolean, ended: TermEnded | null): string | null {
  if (!quiet) return `${candidate} still says that it leads`;
  return ended === null || ended.asItShould
    ? null
    : `fell back, the term ended otherwise than it should (${ended.how})`;
}

/** Null when nobody took over in time. */
async function successorOf(contest: Contest, old: Leader): Promise<TakeOver | null> {
  const found: { taken: TakeOver | null } = { taken: null };
  const look = (): boolean => (found.taken = takeOver(contest, old)) !== null;
  await within(contest.system.takeOverLimitMs, look);
  return found.taken;
}

interface TakeOver {
  readonly by: string;
  readonly epoch: bigint;
  readonly inEtcdAtMs: number;
  readonly saidAtMs: number;
}

/** Null until etcd shows somebody else at the head, and that process says that it leads. */
function takeOver(contest: Contest, old: Leader): TakeOver | null {
  const { leader } = contest;
  if (leader === null || leader.epoch === old.epoch || leader.candidate === old.candidate) return null;
  const claim = contest.reports.find(
    ({ candidate, kind }) => kind === 'leads' && candidate === leader.candidate,
  );
  if (claim === undefined) return null;
  return { by: leader.candidate, epoch: leader.epoch, inEtcdAtMs: leader.sinceMs, saidAtMs: claim.atMs };
}

async function wake(contest: Contest, candidate: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, SLEEP_ON_MS));
  contest.signal(candidate, 'SIGCONT');
  await new Promise((resolve) => setTimeout(resolve, WATCH_WOKEN_MS));
}

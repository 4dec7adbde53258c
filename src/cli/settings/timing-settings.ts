import { DEFAULT_TIMING, timingProblems, type Timing } from '../../core/timing.ts';
import { refuse } from './resolve-settings.ts';
import type { Setting, SettingValues } from './setting.ts';
import { positiveNumber, wholeNumber } from './value-schemas.ts';

const GROUP = 'Times (defaults are fit for production; relations between them are checked at start):';

function ms(name: keyof Timing, flag: string, description: string): Setting<typeof positiveNumber> {
  const fallback = DEFAULT_TIMING[name];
  return { flag, placeholder: 'MS', description, schema: positiveNumber, fallback, group: GROUP };
}

/** One setting for each time of the protocol, under the same name. */
export const TIMING_SETTINGS = {
  leaseTtlSeconds: {
    flag: 'lease-ttl-seconds',
    placeholder: 'SECONDS',
    description: 'time to live asked of etcd for a candidate',
    schema: wholeNumber(1, 3_600),
    fallback: DEFAULT_TIMING.leaseTtlSeconds,
    group: GROUP,
  },
  leadershipCheckMs: ms(
    'leadershipCheckMs',
    'leadership-check-ms',
    'between two checks of a leader with etcd',
  ),
  servingDeadlineMs: ms('servingDeadlineMs', 'serving-deadline-ms', 'a leader serves, after its last check'),
  silenceMs: ms('silenceMs', 'silence-ms', 'silence of a leader after which it is challenged'),
  challengeWaitMs: ms(
    'challengeWaitMs',
    'challenge-wait-ms',
    'a challenge stands before the leader is deposed',
  ),
  peerPingMs: ms('peerPingMs', 'peer-ping-ms', 'between two pings of resource managers'),
  etcdCallMs: ms('etcdCallMs', 'etcd-call-ms', 'deadline of one call to etcd'),
  etcdResendMs: ms('etcdResendMs', 'etcd-resend-ms', 'before a call is sent to the next etcd member too'),
  heartbeatIntervalMs: ms(
    'heartbeatIntervalMs',
    'heartbeat-interval-ms',
    'between two heartbeats of a worker',
  ),
  heartbeatTimeoutMs: ms(
    'heartbeatTimeoutMs',
    'heartbeat-timeout-ms',
    'silence after which a worker is unreachable',
  ),
  slotLeaseMs: ms('slotLeaseMs', 'slot-lease-ms', 'a slot lease lasts without renewal'),
  slotRenewalMs: ms('slotRenewalMs', 'slot-renewal-ms', 'between two renewals of a slot lease'),
  unclaimedMs: ms('unclaimedMs', 'unclaimed-ms', 'a granted slot may stay unclaimed'),
  taskExecutorCallMs: ms(
    'taskExecutorCallMs',
    'task-executor-call-ms',
    'deadline of a call to a task executor',
  ),
  slotRequestTimeoutMs: ms(
    'slotRequestTimeoutMs',
    'slot-request-timeout-ms',
    'a job master waits for a slot',
  ),
  graceMs: ms('graceMs', 'grace-ms', 'a new leader waits for the reports of task executors'),
} as const satisfies Record<keyof Timing, Setting>;

/** The times among these values; throws `INVALID` with a sentence for each relation that does not hold. */
export function timingOf(values: SettingValues<typeof TIMING_SETTINGS>): Timing {
  const names = Object.keys(TIMING_SETTINGS) as (keyof Timing)[];
  const timing = Object.fromEntries(names.map((name) => [name, values[name]])) as unknown as Timing;
  refuse(timingProblems(timing).map((detail) => ({ field: 'timing', detail })));
  return timing;
}

/** Every time of the protocol, in milliseconds unless its name says seconds. */
export interface Timing {
  /** Time to live asked of etcd for a candidate's lease; what etcd grants counts. */
  readonly leaseTtlSeconds: number;
  /** How often a leader checks with etcd that its candidate key still stands. */
  readonly leadershipCheckMs: number;
  /** After the send of the last acknowledged check, a leader serves no longer than this. */
  readonly servingDeadlineMs: number;
  /** Silence of a leader after which a standby challenges it. */
  readonly silenceMs: number;
  /** How long a challenge stands before the silent leader is deposed. */
  readonly challengeWaitMs: number;
  /** How often resource managers ping each other. */
  readonly peerPingMs: number;
  /** Deadline of one call to etcd. */
  readonly etcdCallMs: number;
  /** After this long without an answer a call to etcd that may be repeated is sent to the next endpoint too. */
  readonly etcdResendMs: number;
  /** How often task executors and job masters ping a resource manager. */
  readonly heartbeatIntervalMs: number;
  /** Silence after which a task executor or job master counts as unreachable. */
  readonly heartbeatTimeoutMs: number;
  /** How long a slot lease lasts without renewal. */
  readonly slotLeaseMs: number;
  /** How often a job master renews its slot leases. */
  readonly slotRenewalMs: number;
  /** How long a granted slot may stay unclaimed. */
  readonly unclaimedMs: number;
  /** Deadline of one call of a resource manager to a task executor. */
  readonly taskExecutorCallMs: number;
  /** How long a job master waits for a slot unless its user says otherwise. */
  readonly slotRequestTimeoutMs: number;
  /** How long a new leader waits for the reports of registered task executors. */
  readonly graceMs: number;
}

/** Times that keep to each relation; detection of a silent leader takes 750 ms, the backstop 10 s. */
export const DEFAULT_TIMING: Timing = {
  leaseTtlSeconds: 10,
  leadershipCheckMs: 125,
  servingDeadlineMs: 400,
  silenceMs: 250,
  challengeWaitMs: 500,
  peerPingMs: 100,
  etcdCallMs: 1_000,
  etcdResendMs: 100,
  heartbeatIntervalMs: 5_000,
  heartbeatTimeoutMs: 15_000,
  slotLeaseMs: 30_000,
  slotRenewalMs: 10_000,
  unclaimedMs: 10_000,
  taskExecutorCallMs: 2_000,
  slotRequestTimeoutMs: 300_000,
  graceMs: 15_000,
};

/** Share of a lease after which its holder stops using it, measured from its own last acknowledged renewal. */
export const HOLDER_SHARE = 0.9;

/** One sentence for each value or relation that cannot work; empty when the times are fit to start with. */
export function timingProblems(timing: Timing): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(timing) as [keyof Timing, number][]) {
    if (!Number.isFinite(value) || value <= 0)
      problems.push(`${name} must be a positive number, but is ${value}.`);
  }
  if (problems.length > 0) return problems;
  const demand = (holds: boolean, sentence: string): void => {
    if (!holds) problems.push(sentence);
  };
  const t = timing;
  const ttlMs = t.leaseTtlSeconds * 1_000;
  const detectionMs = t.silenceMs + t.challengeWaitMs;
  demand(
    detectionMs <= ttlMs / 4,
    `silenceMs + challengeWaitMs (${detectionMs}) must be at most a quarter of leaseTtlSeconds (${ttlMs / 4} ms).`,
  );
  demand(
    t.leadershipCheckMs <= t.servingDeadlineMs / 3,
    `leadershipCheckMs (${t.leadershipCheckMs}) must be at most a third of servingDeadlineMs (${t.servingDeadlineMs}).`,
  );
  demand(
    t.servingDeadlineMs <= 0.8 * t.challengeWaitMs,
    `servingDeadlineMs (${t.servingDeadlineMs}) must be at most 0.8 of challengeWaitMs (${t.challengeWaitMs}).`,
  );
  demand(
    t.peerPingMs < t.silenceMs,
    `peerPingMs (${t.peerPingMs}) must be less than silenceMs (${t.silenceMs}).`,
  );
  demand(
    t.etcdResendMs <= t.etcdCallMs,
    `etcdResendMs (${t.etcdResendMs}) must be at most etcdCallMs (${t.etcdCallMs}).`,
  );
  demand(
    t.heartbeatIntervalMs <= t.heartbeatTimeoutMs / 2,
    `heartbeatIntervalMs (${t.heartbeatIntervalMs}) must be at most half of heartbeatTimeoutMs (${t.heartbeatTimeoutMs}).`,
  );
  demand(
    t.heartbeatTimeoutMs <= t.graceMs,
    `heartbeatTimeoutMs (${t.heartbeatTimeoutMs}) must be at most graceMs (${t.graceMs}).`,
  );
  demand(
    t.slotRenewalMs <= t.slotLeaseMs / 3,
    `slotRenewalMs (${t.slotRenewalMs}) must be at most a third of slotLeaseMs (${t.slotLeaseMs}).`,
  );
  demand(
    t.unclaimedMs <= t.slotLeaseMs,
    `unclaimedMs (${t.unclaimedMs}) must be at most slotLeaseMs (${t.slotLeaseMs}).`,
  );
  demand(
    t.taskExecutorCallMs < t.unclaimedMs,
    `taskExecutorCallMs (${t.taskExecutorCallMs}) must be less than unclaimedMs (${t.unclaimedMs}).`,
  );
  return problems;
}

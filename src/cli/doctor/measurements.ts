import type { EtcdMemberStatus } from '../../ha/etcd/etcd-inspection.ts';
import type { MemberMetrics } from './etcd-metrics.ts';
import type { Latency } from './latency.ts';

/** How far another clock is ahead of ours, at least and at most; a `Date` header says it to a second. */
export interface ClockOffset {
  readonly leastMs: number;
  readonly mostMs: number;
}

/** What throw-away leases of the doctor got. */
export interface LeaseMeasurement {
  readonly askedSeconds: number;
  readonly grantedSeconds: number;
  /** Granted when one second was asked for: 1.5 election timeouts, rounded up. */
  readonly leastGrantedSeconds: number;
}

/** One etcd endpoint as the doctor met it; null stands for what could not be measured. */
export interface EndpointMeasurement {
  readonly endpoint: string;
  /** Why it did not say how it is, or what failed afterwards; null when nothing did. */
  readonly failure: string | null;
  readonly status: EtcdMemberStatus | null;
  /** A linearizable range. */
  readonly range: Latency | null;
  /** A transaction of the form of the leadership check: compares, and a linearizable range in both branches. */
  readonly check: Latency | null;
  /** A proposal through the quorum with its fsync: grants and revokes of leases. */
  readonly write: Latency | null;
  readonly lease: LeaseMeasurement | null;
  /** Whether the oldest revision has been compacted away. */
  readonly compacted: boolean | null;
  readonly metrics: MemberMetrics | null;
  readonly clockOffset: ClockOffset | null;
}

/** One resource manager as the doctor met it. */
export interface ResourceManagerMeasurement {
  readonly address: string;
  readonly failure: string | null;
  /** Why it confirms nothing although etcd answers: etcd lost its data; null when it does not say so. */
  readonly contradiction: string | null;
  /** Of `/livez`, which its event loop answers. */
  readonly livez: Latency | null;
  readonly clockOffset: ClockOffset | null;
}

/** Everything that the doctor judges by. */
export interface Measurements {
  readonly endpoints: readonly EndpointMeasurement[];
  readonly resourceManagers: readonly ResourceManagerMeasurement[];
  /** How late the doctor's own timers were at worst: what a machine without time to spare adds to each latency. */
  readonly ownLagMs: number;
}

import { DEFAULT_TIMING } from '../../core/timing.ts';
import type { Finding } from './finding.ts';
import type { ClockOffset, Measurements, ResourceManagerMeasurement } from './measurements.ts';

const MOST_OFFSET_MS = 500;
const { peerPingMs, silenceMs } = DEFAULT_TIMING;

/** The clocks of all machines, and whether the loops of the resource managers turn in time. */
export function judgeSurroundings({ endpoints, resourceManagers, ownLagMs }: Measurements): Finding[] {
  return [
    ...resourceManagers.flatMap((each) => judgeResourceManager(each, ownLagMs)),
    ...endpoints.flatMap(({ endpoint, clockOffset }) => judgeClock(endpoint, clockOffset)),
    ...resourceManagers.flatMap(({ address, clockOffset }) => judgeClock(address, clockOffset)),
    ...judgeOwnLag(ownLagMs),
  ];
}

function judgeResourceManager(measured: ResourceManagerMeasurement, ownLagMs: number): Finding[] {
  const { address, failure, contradiction, livez } = measured;
  if (failure !== null) {
    return [
      {
        severity: 'warning',
        code: 'resource-manager-fails',
        subject: address,
        finding: `It does not answer: ${failure}`,
        cost: 'one standby less that could take over',
        change: 'start it, or name the resource managers that there are',
      },
    ];
  }
  if (contradiction !== null) {
    return [
      {
        severity: 'critical',
        code: 'etcd-contradicted',
        subject: address,
        finding: `It takes etcd for wiped or restored: ${contradiction}.`,
        cost: 'it confirms nothing and leads never; leases that are claimed go on',
        change: 'see which data etcd should hold, then `quartermaster new-generation`',
      },
    ];
  }
  // What our own lateness explains is not held against it.
  const worstMs = Math.round((livez?.maxMs ?? 0) - ownLagMs);
  if (worstMs < peerPingMs) return [];
  return [
    {
      severity: worstMs >= silenceMs ? 'critical' : 'warning',
      code: 'slow-loop',
      subject: address,
      finding: `It took ${worstMs} ms to answer /livez at worst: its event loop, its machine or the network stalls.`,
      cost: `after ${silenceMs} ms of silence a leader may be challenged; a standby that stalls takes over as much later`,
      change: 'give it processor time of its own; look for swapping and for other work in that process',
    },
  ];
}

function judgeClock(subject: string, offset: ClockOffset | null): Finding[] {
  if (offset === null) return [];
  const { leastMs, mostMs } = offset;
  const aheadMs = leastMs > MOST_OFFSET_MS ? leastMs : 0;
  const behindMs = mostMs < -MOST_OFFSET_MS ? -mostMs : 0;
  if (aheadMs === 0 && behindMs === 0) return [];
  const [distance, direction] = aheadMs > 0 ? [aheadMs, 'ahead of'] : [behindMs, 'behind'];
  return [
    {
      severity: 'warning',
      code: 'clock-offset',
      subject,
      finding: `Its clock is at least ${(distance / 1_000).toFixed(1)} s ${direction} the one here.`,
      cost: 'none for elections, which use no wall clock; times in history, `explain` and logs do not fit together, and certificates and tokens may be refused',
      change: 'run chrony or another NTP client on both machines',
    },
  ];
}

function judgeOwnLag(ownLagMs: number): Finding[] {
  if (ownLagMs < peerPingMs) return [];
  return [
    {
      severity: 'note',
      code: 'busy-here',
      subject: null,
      finding: `This machine kept the doctor itself waiting for ${Math.round(ownLagMs)} ms.`,
      cost: 'none by itself, but the latencies above are worse than they would look from a quiet machine',
      change: 'run it again when the machine is quiet, or from another one',
    },
  ];
}

import type { Clock } from '../../runtime/clock.ts';
import { HttpProber } from './http-probe.ts';
import { measureEndpoint, type EtcdMeasuring } from './measure-etcd.ts';
import { measureResourceManager } from './measure-resource-managers.ts';
import type { EndpointMeasurement, Measurements, ResourceManagerMeasurement } from './measurements.ts';

const LAG_SAMPLE_MS = 10;

/** Where to measure, and with what. */
export interface Measuring extends Omit<EtcdMeasuring, 'probe'> {
  readonly etcd: readonly string[];
  readonly resourceManagers: readonly string[];
}

/** Measures everything, one after the other so that nothing slows the next down; takes some seconds and never rejects. */
export async function measure(options: Measuring): Promise<Measurements> {
  const { clock, timeoutMs, tls } = options;
  const prober = new HttpProber({ clock, timeoutMs, tls });
  const lag = watchLag(clock);
  const endpoints: EndpointMeasurement[] = [];
  const resourceManagers: ResourceManagerMeasurement[] = [];
  try {
    for (const url of options.etcd) {
      endpoints.push(await measureEndpoint(url, { ...options, probe: prober.probe }));
    }
    for (const address of options.resourceManagers) {
      resourceManagers.push(await measureResourceManager(address, prober.probe));
    }
  } finally {
    await prober.close();
  }
  return { endpoints, resourceManagers, ownLagMs: lag.end() };
}

/** The most that a timer of this process was late until `end`. */
function watchLag(clock: Clock): { end(): number } {
  let worstMs = 0;
  let dueMs = 0;
  const sample = (): void => {
    worstMs = Math.max(worstMs, clock.monotonicMs() - dueMs);
    next();
  };
  let timer = clock.schedule(0, () => {});
  const next = (): void => {
    dueMs = clock.monotonicMs() + LAG_SAMPLE_MS;
    timer = clock.schedule(LAG_SAMPLE_MS, sample);
  };
  next();
  return {
    end: () => {
      timer.cancel();
      return Math.round(worstMs);
    },
  };
}

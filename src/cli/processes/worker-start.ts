import type { Timing } from '../../core/timing.ts';
import type { WorkerLimits } from '../../resourcemanager/worker-pool.ts';
import type { WorkerSpec } from '../../resourcemanager/worker-provider.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { CommandContext } from '../command-context.ts';
import { PROCESS_PROVIDER, ProcessWorkerProvider, type WorkerCommand } from '../process-worker-provider.ts';
import { selfCommand, withoutSettings } from '../self-command.ts';
import type { ResourceManagerValues } from '../settings/resource-manager-settings.ts';
import { TIMING_SETTINGS } from '../settings/timing-settings.ts';

const STOP_TIMEOUT_MS = 5_000;

/** The provider that `--worker-provider` names; null for `none`. `address` is where workers find this process. */
export function workerProviderOf(
  context: CommandContext,
  values: ResourceManagerValues,
  address: string,
  logger: Logger,
): ProcessWorkerProvider | null {
  if (values.workerProvider === 'none') return null;
  return new ProcessWorkerProvider({
    slotsPerWorker: values.workerSlots,
    commandFor: (worker) => workerCommand(context, values, address, worker),
    clock: context.clock,
    logger,
    stopTimeoutMs: STOP_TIMEOUT_MS,
  });
}

/** As `--max-workers` and its like say. */
export function workerLimitsOf(values: ResourceManagerValues): WorkerLimits {
  return {
    maximum: values.maxWorkers,
    idleMs: values.workerIdleMs,
    registrationMs: values.workerRegistrationMs,
  };
}

/** A task executor beside this process: same cluster, times, secret and log, on any free port of the same host. */
function workerCommand(
  context: CommandContext,
  values: ResourceManagerValues,
  address: string,
  { resourceId, profile, resourceManagers }: WorkerSpec,
): WorkerCommand {
  const extended = Object.entries(profile.extended).map(([name, amount]) => `${name}=${amount}`);
  const times = Object.entries(TIMING_SETTINGS).map(
    ([name, { flag }]) => `--${flag}=${values[name as keyof Timing]}`,
  );
  const { secret } = values;
  return {
    ...selfCommand([
      'task-executor',
      `--provider=${PROCESS_PROVIDER}`,
      `--id=${resourceId}`,
      `--cluster=${values.cluster}`,
      `--resource-managers=${resourceManagers.join(',')}`,
      `--listen=${address.slice(0, address.lastIndexOf(':'))}:0`,
      `--slots=${values.workerSlots}`,
      `--cpu=${profile.cpuCores}`,
      `--memory=${profile.memoryMB}`,
      ...(extended.length > 0 ? [`--extended=${extended.join(',')}`] : []),
      ...(values.secretFile === undefined ? [] : [`--secret-file=${values.secretFile}`]),
      `--log-level=${values.logLevel}`,
      ...(values.logFormat === undefined ? [] : [`--log-format=${values.logFormat}`]),
      ...times,
    ]),
    environment: {
      ...withoutSettings(context.environment),
      ...(secret === undefined ? {} : { QUARTERMASTER_SECRET: secret }),
    },
  };
}

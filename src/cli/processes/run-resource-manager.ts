import { createServer, type Server } from 'node:http';
import { hostname } from 'node:os';
import { NAME_PATTERN, type BootNonce, type ResourceManagerId } from '../../core/ids.ts';
import { anySlotMatching, profileMatching } from '../../core/slotmanager/slot-matching.ts';
import type { Timing } from '../../core/timing.ts';
import { StoreHighAvailabilityServices } from '../../ha/store-high-availability-services.ts';
import { EventStreams } from '../../http/event-stream.ts';
import { createOperatorApp } from '../../http/operator-app.ts';
import { limitServer } from '../../http/server-limits.ts';
import { ResourceManager } from '../../resourcemanager/resource-manager.ts';
import { WebSocketAcceptor } from '../../rpc/websocket/web-socket-acceptor.ts';
import { WebSocketDialer } from '../../rpc/websocket/web-socket-dialer.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { etcdStore } from '../etcd-store.ts';
import { rehearseFailover } from '../rehearsal/failover-rehearsal.ts';
import { aborted } from '../pause.ts';
import { proverOf } from '../settings/network-rules.ts';
import type { ResourceManagerValues } from '../settings/resource-manager-settings.ts';
import { timingOf } from '../settings/timing-settings.ts';
import { hostOf, portOf } from '../settings/value-schemas.ts';
import { readVersion } from '../version.ts';
import { workerLimitsOf, workerProviderOf } from './worker-start.ts';
import { listen, stopListening } from './listen.ts';
import { startProcess } from './process-run.ts';

/** Runs a resource manager until a signal tells it to end; then it hands over and leaves the line. */
export async function runResourceManager(
  context: CommandContext,
  values: ResourceManagerValues,
): Promise<void> {
  const { clock, randomness } = context;
  const timing = timingOf(values);
  const prover = proverOf(values, [values.listen, values.advertise ?? values.listen].map(hostOf));
  const interruption = context.interruption();
  const server = createServer();
  const bound = await listen(server, values.listen);
  const resourceManagerId = (values.id ?? defaultId(bound)) as ResourceManagerId;
  const identity = {
    resourceManagerId,
    address: values.advertise ?? bound,
    bootNonce: randomness.uuid() as BootNonce,
    version: readVersion(),
  };
  const running: { manager: ResourceManager | null } = { manager: null };
  const { logger, onFatal } = startProcess(
    context,
    values,
    { role: 'resource-manager', resourceManagerId },
    () => {
      const status = running.manager?.view.status();
      return { epoch: status?.epoch, leaderSessionId: status?.leaderSessionId };
    },
  );
  const store = etcdStore(values, clock);
  const { cluster } = values;
  const services = { clock, randomness, logger, timing };
  const highAvailability = new StoreHighAvailabilityServices(store, {
    cluster,
    candidate: identity,
    ...services,
  });
  const manager = new ResourceManager({
    cluster,
    ...identity,
    ...services,
    highAvailability,
    dialer: new WebSocketDialer(clock),
    prover,
    matching: values.matching === 'simple' ? anySlotMatching : profileMatching,
    workerProvider: workerProviderOf(context, values, identity.address, logger),
    workerLimits: workerLimitsOf(values),
    onFatal,
  });
  running.manager = manager;
  const acceptor = new WebSocketAcceptor(clock, manager.acceptor());
  acceptor.attach(server);
  const streams = new EventStreams(clock);
  const { view } = manager;
  server.on('request', createOperatorApp({ view, operations: view, clock, logger, streams }));
  limitServer(server);
  failWithListener(server, interruption, onFatal);
  manager.start();
  void rehearse(context, timing, logger, interruption);
  await aborted(interruption);
  const stopped = manager.stop(`told to end by ${String(interruption.reason)}`);
  // Told again, it waits for etcd no more: its lease ends what it could not give back.
  await Promise.race([stopped, aborted(context.insistence()).then(() => context.exit(EXIT_CODES.failed))]);
  streams.close();
  acceptor.close('the resource manager ends');
  await stopListening(server);
  await highAvailability.close();
}

/** While this process is a standby that waits. */
async function rehearse(
  { clock, randomness }: CommandContext,
  timing: Timing,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const result = await rehearseFailover({ clock, randomness, timing, signal });
  logger.log('debug', 'failover-rehearsed', { ...result });
}

/** Peers take a refused connection for a death: a process without its listener must not go on. */
function failWithListener(server: Server, interruption: AbortSignal, onFatal: (error: Error) => void): void {
  server.on('error', onFatal);
  server.on('close', () => {
    if (!interruption.aborted) onFatal(new Error('The listener has closed.'));
  });
}

/** Host name and port: the same over restarts, and no other process of this machine has it. */
function defaultId(address: string): string {
  const id = `${hostname()}-${portOf(address)}`.replaceAll(/[^A-Za-z0-9._:-]/g, '-').slice(-128);
  return NAME_PATTERN.test(id) ? id : `rm-${portOf(address)}`;
}

import { createServer } from 'node:http';
import type { ResourceId } from '../../core/ids.ts';
import { createWorkerApp } from '../../http/worker-app.ts';
import { limitServer } from '../../http/server-limits.ts';
import { WebSocketAcceptor } from '../../rpc/websocket/web-socket-acceptor.ts';
import { WebSocketDialer } from '../../rpc/websocket/web-socket-dialer.ts';
import { StateFile } from '../../taskexecutor/state-file.ts';
import { TaskExecutor } from '../../taskexecutor/task-executor.ts';
import type { CommandContext } from '../command-context.ts';
import { aborted } from '../pause.ts';
import { REGISTERED_LINE } from '../process-worker-provider.ts';
import { proverOf } from '../settings/network-rules.ts';
import { timingOf } from '../settings/timing-settings.ts';
import { hostOf } from '../settings/value-schemas.ts';
import { profileOf, type TaskExecutorValues } from '../settings/worker-settings.ts';
import { readVersion } from '../version.ts';
import { journalAt } from './file-journal.ts';
import { listen, stopListening } from './listen.ts';
import { startProcess } from './process-run.ts';

const REGISTRATION_POLL_MS = 50;

/** Runs a task executor until it is told to end by a signal or by its leader, and drains it then. */
export async function runTaskExecutor(context: CommandContext, values: TaskExecutorValues): Promise<void> {
  const { clock, randomness } = context;
  const timing = timingOf(values);
  const hosts = [values.listen, values.advertise ?? values.listen, ...values.resourceManagers].map(hostOf);
  const prover = proverOf(values, hosts);
  const journal = journalAt(values.journal, clock);
  const interruption = context.interruption();
  const resourceId = (values.id ?? `te-${randomness.uuid().slice(0, 8)}`) as ResourceId;
  const running: { executor: TaskExecutor | null } = { executor: null };
  const { logger, onFatal } = startProcess(context, values, { role: 'task-executor', resourceId }, () => {
    const token = running.executor?.status().highestToken;
    return { epoch: token?.epoch, leaderSessionId: token?.leaderSessionId };
  });
  const server = createServer();
  const bound = await listen(server, values.listen);
  const address = values.advertise ?? bound;
  const stopped = new AbortController();
  const executor = new TaskExecutor({
    identity: { cluster: values.cluster, resourceId },
    address,
    seeds: values.resourceManagers,
    slots: Array.from({ length: values.slots }, () => profileOf(values)),
    provider: values.provider ?? null,
    clock,
    randomness,
    logger,
    timing,
    dialer: new WebSocketDialer(clock),
    prover,
    stateStore: values.stateFile === undefined ? null : new StateFile(values.stateFile),
    slotsDieWithProcess: values.slotsDieWithProcess,
    journal,
    onStopped: () => stopped.abort(),
    onFatal,
  });
  running.executor = executor;
  const acceptor = new WebSocketAcceptor(clock, executor.acceptor());
  acceptor.attach(server);
  server.on(
    'request',
    createWorkerApp({ resourceId, version: readVersion(), state: () => executor.status().phase, logger }),
  );
  limitServer(server);
  server.on('close', () => {
    if (!interruption.aborted && !stopped.signal.aborted) onFatal(new Error('the listener closed'));
  });
  await executor.start();
  logger.log('info', 'task-executor-started', { address, slots: values.slots });
  if (values.provider !== undefined) announceRegistration(context, executor, interruption);
  await Promise.race([aborted(interruption), aborted(stopped.signal)]);
  if (!stopped.signal.aborted) await drain(context, executor, values.drainTimeoutMs ?? null);
  acceptor.close('the task executor ends');
  await stopListening(server);
}

/** Tells the provider at the other end of standard output, once, that it need not wait any more. */
function announceRegistration(context: CommandContext, executor: TaskExecutor, signal: AbortSignal): void {
  context.clock.schedule(REGISTRATION_POLL_MS, () => {
    if (executor.status().registeredWith !== null) return context.print(REGISTERED_LINE);
    if (!signal.aborted) announceRegistration(context, executor, signal);
  });
}

/** Until nobody holds a slot any more, the time is up, or somebody is impatient. */
async function drain(
  context: CommandContext,
  executor: TaskExecutor,
  deadlineMs: number | null,
): Promise<void> {
  const insistence = context.insistence();
  insistence.addEventListener('abort', () => void executor.stop(), { once: true });
  await executor.drain({ deadlineMs });
}

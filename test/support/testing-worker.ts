import type { FencingToken } from '../../src/core/fencing-token.ts';
import type { InstanceId, JobId, JobMasterId, ResourceId } from '../../src/core/ids.ts';
import type {
  NotificationBody,
  NotificationType,
  ReplyBody,
  RequestBody,
  RequestType,
} from '../../src/core/messages/catalogue.ts';
import type { ClusterView, Role } from '../../src/core/messages/handshake.ts';
import type { RegistrationOrder } from '../../src/core/messages/primitives.ts';
import type { SlotReport, SlotStatus } from '../../src/core/messages/slots.ts';
import type { ResourceProfile } from '../../src/core/resource-profile.ts';
import { dialChannel } from '../../src/rpc/handshake.ts';
import type { InMemoryNetwork } from '../../src/rpc/in-memory-network.ts';
import type { InboundRequest, MessageChannel } from '../../src/rpc/message-channel.ts';
import { NO_SECRET } from '../../src/runtime/prover.ts';
import type { VirtualClock } from '../simulation/virtual-clock.ts';
import { SeededRandomness } from './testing-randomness.ts';

export const SMALL: ResourceProfile = { cpuCores: 1, memoryMB: 512, extended: {} };

/** A free slot of the small profile. */
export function freeSlot(slotNumber: number, profile = SMALL): SlotStatus {
  return { slotNumber, profile, state: 'free', lease: null };
}

export function fullReport(reportNumber: number, slots: readonly SlotStatus[]): SlotReport {
  return { reportNumber, full: true, lastSeen: null, draining: false, slots };
}

/** Runs virtual time until the promise has settled. */
export async function driven<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  promise.then(settle, settle);
  await clock.until(() => settled, 60_000, 'an answer');
  return promise;
}

/** The other end of one connection to a resource manager: says what the test tells it to, remembers what it hears. */
export class TestingWorker {
  readonly clock: VirtualClock;
  readonly notifications: { readonly type: NotificationType; readonly body: unknown }[] = [];
  readonly requests: InboundRequest[] = [];
  closed: string | null = null;
  /** Whether it says that it lives when it is asked. */
  answersPings = true;
  /** How long its answers are on their way. */
  pingDelayMs = 0;
  /** Answers what the resource manager asks; nothing is answered at first. */
  onRequest: (request: InboundRequest) => void = () => {};
  #channel: MessageChannel | null = null;

  private constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  static async dial(
    clock: VirtualClock,
    network: InMemoryNetwork,
    role: Role,
    name: string,
    to: string,
  ): Promise<TestingWorker> {
    const worker = new TestingWorker(clock);
    const identity = { role, cluster: 'c', id: name, instance: name };
    const context = { clock, randomness: new SeededRandomness(1, name), prover: NO_SECRET, identity };
    dialChannel(context, network.dialer(name), to, 'resource-manager', {
      onReady: (channel) => {
        worker.#channel = channel;
      },
      onRequest: (request) => {
        if (request.type === 'ping') {
          if (!worker.answersPings) return;
          const answer = (): void => request.respond({ state: 'worker', epoch: null });
          if (worker.pingDelayMs === 0) answer();
          else clock.schedule(worker.pingDelayMs, answer);
          return;
        }
        worker.requests.push(request);
        worker.onRequest(request);
      },
      onNotification: (notification) => worker.notifications.push(notification),
      onClose: (reason) => {
        worker.closed = reason.detail;
      },
    });
    await clock.until(() => worker.#channel !== null || worker.closed !== null, 10_000, 'a connection');
    return worker;
  }

  get channel(): MessageChannel {
    if (this.#channel === null) throw new Error(`not connected: ${this.closed}`);
    return this.#channel;
  }

  /** Asks, and runs virtual time until the answer is there; rejects with the problem. */
  call<T extends RequestType>(type: T, body: RequestBody<T>, timeoutMs = 5_000): Promise<ReplyBody<T>> {
    return driven(this.clock, this.channel.call(type, body, timeoutMs));
  }

  heard<T extends NotificationType>(type: T): NotificationBody<T>[] {
    return this.notifications
      .filter((notification) => notification.type === type)
      .map((notification) => notification.body as NotificationBody<T>);
  }

  close(): void {
    this.channel.close();
  }
}

/** A task executor of small slots, as far as a resource manager sees it. */
export class TestingTaskExecutor {
  readonly worker: TestingWorker;
  readonly resourceId: ResourceId;
  readonly instanceId: InstanceId;
  reportNumber = 0;
  slots: SlotStatus[];
  provider: string | null = null;

  constructor(worker: TestingWorker, name: string, instance: string, slots: number) {
    this.worker = worker;
    this.resourceId = name as ResourceId;
    this.instanceId = instance as InstanceId;
    this.slots = Array.from({ length: slots }, (_, index) => freeSlot(index));
  }

  get address(): string {
    return `${this.resourceId}:1`;
  }

  introduce(highestToken: FencingToken | null = null): Promise<ClusterView> {
    const { resourceId, instanceId, address } = this;
    return this.worker.call('introduceTaskExecutor', {
      resourceId,
      instanceId,
      address,
      clusterId: null,
      highestToken,
    });
  }

  registration(token: FencingToken): RequestBody<'registerTaskExecutor'> {
    const { resourceId, instanceId, address, provider } = this;
    this.reportNumber += 1;
    const report = fullReport(this.reportNumber, this.slots);
    return { token, resourceId, instanceId, address, provider, report };
  }

  register(token: FencingToken): Promise<ReplyBody<'registerTaskExecutor'>> {
    return this.worker.call('registerTaskExecutor', this.registration(token));
  }

  heartbeat(token: FencingToken): Promise<unknown> {
    const { resourceId, instanceId, reportNumber } = this;
    return this.worker.call('heartbeatTaskExecutor', { token, resourceId, instanceId, reportNumber });
  }

  /** The commands that it was asked to execute, in order. */
  get commands(): Extract<InboundRequest, { type: 'executeSlotCommands' }>[] {
    return this.worker.requests.filter((request) => request.type === 'executeSlotCommands');
  }

  /** From now on grants whatever it is asked for. */
  grants(): void {
    let grantNumber = 0;
    this.worker.onRequest = (request) => {
      if (request.type !== 'executeSlotCommands') return;
      request.respond({
        results: request.body.commands.map((command) => {
          if (command.kind !== 'requestSlot') return { outcome: 'done', grantNumber: null };
          grantNumber += 1;
          return { outcome: 'done', grantNumber };
        }),
      });
    };
  }
}

/** A job master, as far as a resource manager sees it. */
export class TestingJobMaster {
  readonly worker: TestingWorker;
  readonly jobId: JobId;
  readonly jobMasterId: JobMasterId;

  constructor(worker: TestingWorker, job: string, process: string) {
    this.worker = worker;
    this.jobId = job as JobId;
    this.jobMasterId = process as JobMasterId;
  }

  introduce(highestToken: FencingToken | null = null): Promise<ClusterView> {
    const { jobId, jobMasterId } = this;
    return this.worker.call('introduceJobMaster', { jobId, jobMasterId, clusterId: null, highestToken });
  }

  register(
    token: FencingToken,
    order: RegistrationOrder | null = null,
  ): Promise<ReplyBody<'registerJobMaster'>> {
    const { jobId, jobMasterId } = this;
    return this.worker.call('registerJobMaster', { token, jobId, jobMasterId, order });
  }

  requestSlots(
    token: FencingToken,
    allocationIds: readonly string[],
    profile = SMALL,
  ): Promise<ReplyBody<'requestSlots'>> {
    const { jobId, jobMasterId } = this;
    return this.worker.call('requestSlots', {
      token,
      jobId,
      jobMasterId,
      requests: allocationIds.map((allocationId) => ({
        allocationId: allocationId as never,
        profile,
        remainingMs: 60_000,
        excluded: [],
      })),
    });
  }
}

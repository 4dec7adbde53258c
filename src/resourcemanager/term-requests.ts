import { mayObey, sameToken, type FencingToken } from '../core/fencing-token.ts';
import type { InstanceId, JobId, JobMasterId, ResourceId } from '../core/ids.ts';
import type { NotificationBody } from '../core/messages/catalogue.ts';
import type { Problem } from '../core/problem.ts';
import type { InboundNotification, InboundRequest } from '../rpc/message-channel.ts';
import type { JobMasterDesk } from './job-master-desk.ts';
import type { SlotManagerDriver } from './slot-manager-driver.ts';
import type { TaskExecutorDesk } from './task-executor-desk.ts';
import { SUSPENDED, TERM_OVER, type TermContext } from './term-context.ts';
import type { WorkerConnection } from './worker-connection.ts';

type LeaderRequest = Extract<InboundRequest, { body: { token: FencingToken } }>;
type TaskExecutorRequest = Extract<LeaderRequest, { body: { resourceId: ResourceId } }>;
type JobMasterRequest = Extract<LeaderRequest, { body: { jobId: JobId } }>;

/** Whether it is one of the requests that only the leader answers. */
export function isForLeader(request: InboundRequest): request is TaskExecutorRequest | JobMasterRequest {
  return 'token' in request.body && request.type !== 'executeSlotCommands';
}

/** Judges what comes in during one term, and hands it to the desks and to the slot manager. */
export class TermRequests {
  readonly #context: TermContext;
  readonly #driver: SlotManagerDriver;
  readonly #taskExecutors: TaskExecutorDesk;
  readonly #jobMasters: JobMasterDesk;
  readonly #afterTakeOver: (request: () => void) => boolean;

  /** `afterTakeOver` runs a registration once the records have been read; false when too many wait for that. */
  constructor(
    context: TermContext,
    driver: SlotManagerDriver,
    taskExecutors: TaskExecutorDesk,
    jobMasters: JobMasterDesk,
    afterTakeOver: (request: () => void) => boolean,
  ) {
    this.#context = context;
    this.#driver = driver;
    this.#taskExecutors = taskExecutors;
    this.#jobMasters = jobMasters;
    this.#afterTakeOver = afterTakeOver;
  }

  onRequest(connection: WorkerConnection, request: TaskExecutorRequest | JobMasterRequest): void {
    const problem = this.#problemOf(connection, request);
    if (problem !== null) return request.fail(problem);
    if ('resourceId' in request.body) {
      return this.#taskExecutorRequest(connection, request as TaskExecutorRequest);
    }
    this.#jobMasterRequest(connection, request as JobMasterRequest);
  }

  #problemOf(connection: WorkerConnection, request: TaskExecutorRequest | JobMasterRequest): Problem | null {
    if (!this.#context.mayServe()) return SUSPENDED;
    const { body } = request;
    return this.#tokenProblem(connection, body.token) ?? identityProblem(connection, body);
  }

  #tokenProblem(connection: WorkerConnection, token: FencingToken): Problem | null {
    const own = this.#context.token;
    if (sameToken(token, own)) return null;
    if (!mayObey(token, own)) {
      this.#context.fencedBy(connection, token);
      return SUSPENDED;
    }
    return { code: 'FENCED', detail: 'This is not the token of the present leader.', token: own };
  }

  #taskExecutorRequest(connection: WorkerConnection, request: TaskExecutorRequest): void {
    switch (request.type) {
      case 'registerTaskExecutor': {
        const problem = this.#clusterProblem(connection);
        if (problem !== null) return request.fail(problem);
        return this.#later(connection, request, () => this.#taskExecutors.register(request.body, request));
      }
      case 'disconnectTaskExecutor':
        return this.#later(connection, request, () => this.#taskExecutors.disconnect(request.body, request));
      case 'heartbeatTaskExecutor': {
        const { resourceId, instanceId, reportNumber } = request.body;
        const problem = this.#taskExecutors.problemOf(resourceId, instanceId);
        if (problem !== null) return request.fail(problem);
        request.respond({});
        this.#driver.handle({ type: 'reportNumberSeen', resourceId, instanceId, reportNumber });
      }
    }
  }

  #jobMasterRequest(connection: WorkerConnection, request: JobMasterRequest): void {
    if (request.type === 'registerJobMaster') {
      const problem = this.#clusterProblem(connection);
      if (problem !== null) return request.fail(problem);
      return this.#later(connection, request, () => this.#jobMasters.register(request.body, request));
    }
    if (request.type === 'disconnectJobMaster') {
      return this.#later(connection, request, () => this.#jobMasters.disconnect(request.body, request));
    }
    const { jobId, jobMasterId } = request.body;
    const problem = this.#jobMasters.problemOf(jobId, jobMasterId);
    if (problem !== null) return request.fail(problem);
    this.#registeredJobMasterRequest(request);
  }

  #registeredJobMasterRequest(
    request: Exclude<JobMasterRequest, { type: 'registerJobMaster' | 'disconnectJobMaster' }>,
  ): void {
    const { jobId, jobMasterId } = request.body;
    switch (request.type) {
      case 'requestSlots': {
        const order = this.#jobMasters.get(jobId)?.order ?? { generation: 0, revision: 0n };
        return this.#driver.requestSlots(
          { jobId, jobMasterId, order, requests: request.body.requests },
          { respond: (results) => request.respond({ results }), fail: request.fail },
        );
      }
      case 'cancelSlotRequests': {
        request.respond({});
        const { allocationIds } = request.body;
        return this.#driver.handle({ type: 'slotRequestsCancelled', jobId, jobMasterId, allocationIds });
      }
      case 'rejectSlot': {
        request.respond({});
        const { allocationId, slotId, grantNumber, reason } = request.body;
        const rejected = { allocationId, ...slotId, grantNumber, reason };
        return this.#driver.handle({ type: 'slotRejected', jobId, jobMasterId, ...rejected });
      }
      case 'heartbeatJobMaster': {
        const { unfinished, held, unreachable } = request.body;
        this.#jobMasters.holds(jobId, held);
        if (unreachable !== undefined && unreachable !== null && unreachable.length > 0)
          this.#driver.handle({ type: 'taskExecutorsMissed', jobMasterId, missed: unreachable });
        return this.#driver.jobMasterHeartbeat(
          { jobId, jobMasterId, unfinished },
          { respond: (unknown) => request.respond({ unknown }), fail: request.fail },
        );
      }
    }
  }

  /** Registrations need to know what etcd holds, so they wait for the take-over to have read it. */
  #later(connection: WorkerConnection, request: LeaderRequest, run: () => void): void {
    const taken = this.#afterTakeOver(() => {
      if (connection.channel.closed) return;
      if (!this.#context.leadership.current) return request.fail(TERM_OVER);
      if (!this.#context.mayServe()) return request.fail(SUSPENDED);
      run();
    });
    if (taken) return;
    const detail = 'Too many registrations wait for the records to be read.';
    request.fail({ code: 'OVERLOADED', detail, retryAfterMs: 1_000 });
  }

  #clusterProblem({ who }: WorkerConnection): Problem | null {
    if (who === null || who.role === 'resource-manager' || who.clusterId === null) return null;
    const { clusterId } = this.#context.leadership;
    if (who.clusterId === clusterId) return null;
    const name = who.role === 'task-executor' ? who.resourceId : who.jobId;
    const fields = { name, clusterId, theirs: who.clusterId };
    this.#context.note('error', 'failure', 'worker-of-another-cluster', fields);
    const detail = `This is the cluster with the id ${clusterId}, the caller belongs to ${who.clusterId}.`;
    return { code: 'WRONG_CLUSTER', detail };
  }

  onNotification(connection: WorkerConnection, notification: InboundNotification): void {
    if (notification.type === 'fenced') {
      this.#context.fencedBy(connection, notification.body.token);
    } else if (notification.type === 'reportSlots') {
      this.#reportSlots(connection, notification.body);
    }
  }

  #reportSlots(connection: WorkerConnection, body: NotificationBody<'reportSlots'>): void {
    const { resourceId, instanceId, report } = body;
    // No silence towards a report that is not taken: the task executor registers again, with a full one.
    let problem = this.#tokenProblem(connection, body.token) ?? identityProblem(connection, body);
    const registers = !this.#context.hasTakenOver || this.#taskExecutors.isRegistering(instanceId);
    if (problem === null && !registers) {
      problem = this.#taskExecutors.problemOf(resourceId, instanceId);
    }
    if (problem !== null) return connection.channel.notify('problem', problem);
    this.#driver.handle({ type: 'slotsReported', resourceId, instanceId, report });
  }
}

type Named =
  | { readonly resourceId: ResourceId; readonly instanceId: InstanceId }
  | { readonly jobId: JobId; readonly jobMasterId: JobMasterId };

/** Nobody speaks in another's name: a message must name the process that was introduced on its connection. */
function identityProblem({ who }: WorkerConnection, named: Named): Problem | null {
  const isSame =
    'resourceId' in named
      ? who?.role === 'task-executor' &&
        who.resourceId === named.resourceId &&
        who.instanceId === named.instanceId
      : who?.role === 'job-master' && who.jobId === named.jobId && who.jobMasterId === named.jobMasterId;
  if (isSame) return null;
  return {
    code: 'INVALID',
    detail: 'The message names another process than the one introduced on its connection.',
    fields: [
      { field: 'resourceId' in named ? 'resourceId' : 'jobId', detail: 'is not the one introduced here' },
    ],
  };
}

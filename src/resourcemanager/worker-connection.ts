import type { WorkerKnowledge } from '../core/election/worker-witnesses.ts';
import { mayObey, type FencingToken } from '../core/fencing-token.ts';
import type { InstanceId, JobId, JobMasterId, ResourceId } from '../core/ids.ts';
import type { RequestBody } from '../core/messages/catalogue.ts';
import type { Role } from '../core/messages/handshake.ts';
import type { Problem } from '../core/problem.ts';
import type { MessageChannel } from '../rpc/message-channel.ts';

/** Who is at the other end, as it has said once this side had proved itself. */
export type Introduced =
  | ({ readonly role: 'task-executor' } & RequestBody<'introduceTaskExecutor'>)
  | ({ readonly role: 'job-master' } & RequestBody<'introduceJobMaster'>)
  | ({ readonly role: 'resource-manager' } & RequestBody<'introduceResourceManager'>);

/** One connection that a task executor, a job master or another resource manager has dialled. */
export interface WorkerConnection {
  readonly channel: MessageChannel;
  readonly role: Role;
  who: Introduced | null;
  /** Last token announced over it; null before the first. */
  announced: FencingToken | null;
  /** The token that it insisted on although we led; a term below it sends nothing over this connection. */
  ahead: FencingToken | null;
  /** What it said last that it knows; null before that. */
  knowledge: WorkerKnowledge | null;
}

/** Whether it obeys somebody above this term, or another one of the same epoch, as was found out, so that nothing is to be sent over it. */
export function isAhead({ ahead }: WorkerConnection, token: FencingToken): boolean {
  return ahead !== null && !mayObey(ahead, token);
}

/** Tells one process from every other, over all its connections. */
export function processKey(who: Introduced): string {
  switch (who.role) {
    case 'task-executor':
      return taskExecutorKey(who.resourceId, who.instanceId);
    case 'job-master':
      return jobMasterKey(who.jobId, who.jobMasterId);
    case 'resource-manager':
      return `resource-manager ${who.resourceManagerId} ${who.bootNonce}`;
  }
}

function taskExecutorKey(resourceId: ResourceId, instanceId: InstanceId): string {
  return `task-executor ${resourceId} ${instanceId}`;
}

function jobMasterKey(jobId: JobId, jobMasterId: JobMasterId): string {
  return `job-master ${jobId} ${jobMasterId}`;
}

/** All connections that others have dialled, in the order in which they came. */
export class ConnectionRegister {
  readonly #all = new Set<WorkerConnection>();
  readonly #byProcess = new Map<string, WorkerConnection>();

  add(channel: MessageChannel, role: Role): WorkerConnection {
    const connection: WorkerConnection = {
      channel,
      role,
      who: null,
      announced: null,
      ahead: null,
      knowledge: null,
    };
    this.#all.add(connection);
    return connection;
  }

  /**
   * Notes who it is. The newest connection of a process is the one that counts; an older one is hung up on.
   * Who has introduced itself as somebody else before on this connection gets a problem.
   */
  introduce(connection: WorkerConnection, who: Introduced): Problem | null {
    if (who.role !== connection.role) {
      return { code: 'INVALID', detail: `A ${connection.role} introduced itself as a ${who.role}.` };
    }
    const key = processKey(who);
    if (connection.who !== null && processKey(connection.who) !== key) {
      return { code: 'INVALID', detail: 'Another process was introduced on this connection before.' };
    }
    connection.who = who;
    const older = this.#byProcess.get(key);
    this.#byProcess.set(key, connection);
    if (older !== undefined && older !== connection) older.channel.close();
    return null;
  }

  /** Forgets a connection that has ended. True when it was the one that counts for its process. */
  remove(connection: WorkerConnection): boolean {
    this.#all.delete(connection);
    if (connection.who === null) return false;
    const key = processKey(connection.who);
    if (this.#byProcess.get(key) !== connection) return false;
    this.#byProcess.delete(key);
    return true;
  }

  taskExecutor(resourceId: ResourceId, instanceId: InstanceId): WorkerConnection | null {
    return this.#byProcess.get(taskExecutorKey(resourceId, instanceId)) ?? null;
  }

  jobMaster(jobId: JobId, jobMasterId: JobMasterId): WorkerConnection | null {
    return this.#byProcess.get(jobMasterKey(jobId, jobMasterId)) ?? null;
  }

  /** Those that have introduced themselves, as they are now. */
  introduced(): WorkerConnection[] {
    return [...this.#all].filter((connection) => connection.who !== null);
  }

  /** How many task executor processes have introduced themselves. */
  get taskExecutorCount(): number {
    let count = 0;
    for (const { who } of this.#byProcess.values()) if (who?.role === 'task-executor') count += 1;
    return count;
  }

  all(): WorkerConnection[] {
    return [...this.#all];
  }
}

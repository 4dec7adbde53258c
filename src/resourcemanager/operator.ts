import type { JobId, ResourceId, ResourceManagerId } from '../core/ids.ts';
import { QuartermasterError, type Problem } from '../core/problem.ts';
import type { SlotManager } from '../core/slotmanager/slot-manager-events.ts';
import type { Identity } from '../core/election/identity.ts';
import type { GenerationPlan, LeaderElectionService } from '../ha/leader-election.ts';
import type { EventLog } from './event-log.ts';
import type { LeaderWatch } from './leader-watch.ts';
import type {
  ClusterEvent,
  HistoryRow,
  JobMasterRow,
  LeaderView,
  OverviewView,
  Page,
  PageRequest,
  ResourceManagerOperations,
  ResourceManagerStatus,
  ResourceManagerView,
  SlotRow,
  Subscription,
  TaskExecutorRow,
} from './operator-view.ts';
import { pageOf } from './page.ts';
import type { Peers } from './peers.ts';
import type { Answer } from './slot-manager-driver.ts';
import { SUSPENDED, type TermContext } from './term-context.ts';
import type { Term } from './term.ts';

/** What the operator's side needs of the resource manager. */
export interface OperatorSurroundings {
  readonly leaderWatch: LeaderWatch;
  readonly events: EventLog;
  readonly peers: Peers;
  readonly election: Pick<LeaderElectionService, 'planGeneration' | 'declareGeneration'>;
  readonly status: () => ResourceManagerStatus;
  /** The present term; null while this process does not lead. */
  readonly term: () => Term | null;
  /** Why this process takes no orders at the moment, leading or not; null when it does. */
  readonly goingAway: () => Problem | null;
  readonly readHistory: (page: PageRequest) => Promise<Page<HistoryRow>>;
  readonly resign: (reason: string, to: ResourceManagerId | null) => Promise<void>;
  /** Runs it in the mailbox, after whatever came before. */
  readonly post: (event: () => void) => void;
}

/** What an operator sees of one resource manager, and orders. */
export class Operator implements ResourceManagerView, ResourceManagerOperations {
  readonly #around: OperatorSurroundings;

  constructor(surroundings: OperatorSurroundings) {
    this.#around = surroundings;
  }

  status(): ResourceManagerStatus {
    return this.#around.status();
  }

  leader(): LeaderView | null {
    return this.#around.leaderWatch.leader;
  }

  watchLeader(onChange: (leader: LeaderView | null) => void): Subscription {
    return this.#around.leaderWatch.watch(onChange);
  }

  watchEvents(afterId: number | null, onEvent: (event: ClusterEvent) => void): Subscription {
    return this.#around.events.watch(afterId, onEvent);
  }

  overview(): Promise<OverviewView> {
    return this.#asLeader((term) => this.#overview(term));
  }

  slots(page: PageRequest): Promise<Page<SlotRow>> {
    return this.#asLeader((term) =>
      pageOf(
        term.driver.slotManager.slots(),
        (slot) => `${slot.resourceId}/${String(slot.slotNumber).padStart(5, '0')}`,
        page,
      ),
    );
  }

  taskExecutors(page: PageRequest): Promise<Page<TaskExecutorRow>> {
    return this.#asLeader((term) => pageOf(taskExecutorRows(term), (row) => row.resourceId, page));
  }

  jobMasters(page: PageRequest): Promise<Page<JobMasterRow>> {
    return this.#asLeader((term) => pageOf(jobMasterRows(term), (row) => row.jobId, page));
  }

  async history(page: PageRequest): Promise<Page<HistoryRow>> {
    // Only a leader that somebody else can be asked instead of is told apart; the rows are etcd's in any case.
    if (this.#around.term() === null && this.leader() !== null) {
      throw new QuartermasterError(this.#notLeader());
    }
    return this.#around.readHistory(page);
  }

  async stepDown(order: { readonly to: ResourceManagerId | null; readonly reason: string }): Promise<void> {
    const to = await this.#asLeader(() => this.#successor(order.to));
    await this.#around.resign(order.reason, to);
  }

  planGeneration(): Promise<GenerationPlan> {
    return this.#unlessGoing(() => this.#around.election.planGeneration());
  }

  newGeneration(generation: number | null): Promise<Identity> {
    return this.#unlessGoing(() => this.#around.election.declareGeneration(generation));
  }

  drain(resourceId: ResourceId, draining: boolean): Promise<void> {
    return this.#asLeader((term) => {
      if (term.taskExecutors.get(resourceId) === null) throw unknownTaskExecutor(resourceId);
      term.note('info', 'registration', draining ? 'drain-ordered' : 'undrain-ordered', { resourceId });
      term.driver.handle({ type: 'drainRequested', resourceId, draining });
    });
  }

  forgetTaskExecutor(resourceId: ResourceId): Promise<void> {
    return this.#order((term, answer) => {
      if (!term.taskExecutors.knows(resourceId)) throw unknownTaskExecutor(resourceId);
      term.taskExecutors.forget(resourceId, answer);
    });
  }

  forgetJobMaster(jobId: JobId): Promise<void> {
    return this.#order((term, answer) => {
      if (!term.jobMasters.knows(jobId)) {
        throw new QuartermasterError({
          code: 'UNKNOWN_JOB_MASTER',
          detail: `There is no job master of ${jobId}.`,
        });
      }
      term.jobMasters.forget(jobId, answer);
    });
  }

  #unlessGoing<T>(order: () => Promise<T>): Promise<T> {
    const goingAway = this.#around.goingAway();
    return goingAway === null ? order() : Promise.reject(new QuartermasterError(goingAway));
  }

  /** In the mailbox, and only while this process leads and may serve. */
  #asLeader<T>(read: (term: Term) => T): Promise<T> {
    // A process that has stopped takes nothing into its mailbox any more.
    const goingAway = this.#around.goingAway();
    if (goingAway !== null) return Promise.reject(new QuartermasterError(goingAway));
    return new Promise((resolve, reject) => {
      this.#around.post(() => {
        try {
          resolve(read(this.#leadingTerm()));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  #order(give: (term: Term, answer: Answer<unknown>) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (problem: Problem): void => reject(new QuartermasterError(problem));
      this.#asLeader((term) => give(term, { respond: () => resolve(), fail })).catch(reject);
    });
  }

  #leadingTerm(): Term {
    const { term, goingAway } = this.#around;
    const present = term();
    const problem =
      goingAway() ?? (present === null ? this.#notLeader() : present.mayServe() ? null : SUSPENDED);
    if (problem !== null || present === null) throw new QuartermasterError(problem ?? this.#notLeader());
    return present;
  }

  /** Throws when leadership could not go there: then nothing is begun. */
  #successor(named: ResourceManagerId | null): ResourceManagerId | null {
    const { peers } = this.#around;
    if (named === null) {
      const successor = peers.successor();
      if ('problem' in successor) throw new QuartermasterError(successor.problem);
      return successor.to;
    }
    const problem = peers.handOverProblem(named);
    if (problem !== null) throw new QuartermasterError(problem);
    return named;
  }

  #notLeader(): Problem {
    return this.#around.leaderWatch.notLeader('NO_LEADER', this.status().storeFull);
  }

  #overview(term: Term): OverviewView {
    const { slotManager } = term.driver;
    const status = this.status();
    const { resourceManagerId, address, state } = status;
    const recovery = slotManager.recovery();
    let taskExecutors = 0;
    for (const each of slotManager.taskExecutors()) if (each.state !== 'expected') taskExecutors += 1;
    return {
      role: 'leader',
      state,
      leader: { resourceManagerId, address, ...term.token },
      standbys: this.#around.peers.standbys(),
      taskExecutors,
      slots: slotManager.slotCounts(),
      pendingRequests: slotManager.pendingRequests(),
      jobMasters: term.jobMasters.size,
      storeFull: status.storeFull,
      recovery:
        recovery === null
          ? null
          : {
              silentTaskExecutors: recovery.silent,
              expectedTaskExecutors: recovery.expected,
              braked: recovery.braked,
              remainingMs: Math.max(0, recovery.untilMs - term.clock.monotonicMs()),
            },
    };
  }
}

function unknownTaskExecutor(resourceId: ResourceId): QuartermasterError {
  return new QuartermasterError({
    code: 'UNKNOWN_TASK_EXECUTOR',
    detail: `There is no task executor ${resourceId}.`,
  });
}

function silentForMs(context: TermContext, state: string, lastHeardMs: number): number | null {
  return state === 'expected' ? null : Math.max(0, context.clock.monotonicMs() - lastHeardMs);
}

function* taskExecutorRows(term: Term): Iterable<TaskExecutorRow> {
  for (const slots of term.driver.slotManager.taskExecutors()) {
    const { resourceId, instanceId } = slots;
    const entry = term.taskExecutors.get(resourceId);
    yield {
      resourceId,
      instanceId,
      address: entry?.address ?? null,
      state: slots.state,
      connected: instanceId !== null && term.connections.taskExecutor(resourceId, instanceId) !== null,
      draining: slots.draining,
      provider: slots.provider,
      slots: slots.slots,
      freeSlots: slots.freeSlots,
      silentForMs: entry === null ? null : silentForMs(term, entry.state, entry.lastHeardMs),
    };
  }
}

function* jobMasterRows(term: Term): Iterable<JobMasterRow> {
  const allocated = allocatedSlots(term.driver.slotManager);
  for (const { jobId, jobMasterId, state, lastHeardMs } of term.jobMasters.entries()) {
    const connected = term.connections.jobMaster(jobId, jobMasterId) !== null;
    yield {
      jobId,
      jobMasterId,
      state: state === 'registered' && !connected ? 'unreachable' : state,
      connected,
      allocatedSlots: allocated.get(jobId) ?? 0,
      silentForMs: silentForMs(term, state, lastHeardMs),
    };
  }
}

function allocatedSlots(slotManager: SlotManager): Map<JobId, number> {
  const counts = new Map<JobId, number>();
  for (const { jobId } of slotManager.slots()) {
    if (jobId !== null) counts.set(jobId, (counts.get(jobId) ?? 0) + 1);
  }
  return counts;
}

import { sameToken } from '../core/fencing-token.ts';
import type { ResourceManagerId } from '../core/ids.ts';
import type { ClusterView } from '../core/messages/handshake.ts';
import { toJson } from '../rpc/wire-format.ts';
import type { Term } from './term.ts';
import type { Clock } from '../runtime/clock.ts';
import { isAhead, type ConnectionRegister, type WorkerConnection } from './worker-connection.ts';

/** How long a change of the view waits for the next one, in milliseconds. */
const SETTLE_MS = 150;

/** How many connections are told in one turn. */
const SLICE = 200;

/** Between two slices, in milliseconds. */
const BETWEEN_SLICES_MS = 5;

/** What the broadcasts need of the resource manager. */
export interface BroadcastOptions {
  readonly resourceManagerId: ResourceManagerId;
  readonly address: string;
  readonly clock: Clock;
  readonly connections: ConnectionRegister;
  readonly post: (event: () => void) => void;
  /** How many events of the resource manager wait. */
  readonly backlog: () => number;
  view(): ClusterView;
  /** The present term; null while this process does not lead. */
  term(): Term | null;
}

/** Tells every connection the cluster's view at each change, and who leads when it is this process. */
export class Broadcast {
  readonly #options: BroadcastOptions;
  #lastView = '';
  #settling = false;

  constructor(options: BroadcastOptions) {
    this.#options = options;
  }

  /**
   * Sends the view to all shortly, unless it is the one that they have then. A failover changes it several times
   * within milliseconds, in which every worker has better to do; the new leader announces itself without delay.
   */
  viewChanged(): void {
    if (this.#settling) return;
    this.#settling = true;
    this.#options.clock.schedule(SETTLE_MS, () =>
      this.#options.post(() => {
        this.#settling = false;
        this.#sendView();
      }),
    );
  }

  /** One that has just come was given the view of now, which the others may never hear of: all are told what it comes to. */
  viewGiven(): void {
    if (this.#settling) this.#lastView = '';
  }

  #sendView(): void {
    const text = toJson(this.#options.view());
    if (text === this.#lastView) return;
    this.#lastView = text;
    this.#toAll((connection) => connection.channel.notify('clusterViewChanged', this.#options.view()));
  }

  /** Announces the present term to every task executor and job master that has not heard of it. */
  announceAll(): void {
    this.#toAll((connection) => this.announce(connection));
  }

  /** Announces the present term over one connection, once; not while this leader may not serve. */
  announce(connection: WorkerConnection): void {
    const term = this.#options.term();
    if (term === null || connection.who === null || connection.role === 'resource-manager') return;
    if (connection.announced !== null && sameToken(connection.announced, term.token)) return;
    if (isAhead(connection, term.token) || !term.mayServe()) return;
    connection.announced = term.token;
    connection.channel.notify('notifyOfNewResourceManagerLeader', {
      token: term.token,
      resourceManagerId: this.#options.resourceManagerId,
      address: this.#options.address,
      clusterId: term.leadership.clusterId,
    });
  }

  /**
   * In slices, and no faster than what they answer is worked off, so that thousands of connections do not hold up what
   * comes in. Job masters first: their requests are then there when the first task executor has reported.
   */
  #toAll(tell: (connection: WorkerConnection) => void): void {
    const { connections, clock, post, backlog } = this.#options;
    const all = jobMastersFirst(connections.introduced());
    const next = (from: number): void => {
      for (const connection of all.slice(from, from + SLICE)) tell(connection);
      if (from + SLICE < all.length) later(from + SLICE);
    };
    const later = (from: number): void => {
      clock.schedule(BETWEEN_SLICES_MS, () => {
        if (backlog() < SLICE) post(() => next(from));
        else later(from);
      });
    };
    next(0);
  }
}

function jobMastersFirst(connections: readonly WorkerConnection[]): readonly WorkerConnection[] {
  const isFirst = ({ role }: WorkerConnection): boolean => role === 'job-master';
  return [...connections.filter(isFirst), ...connections.filter((connection) => !isFirst(connection))];
}

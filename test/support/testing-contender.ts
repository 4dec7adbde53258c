import type { LeaderSessionId } from '../../src/core/ids.ts';
import type {
  ElectionView,
  LeaderContender,
  LeaderElectionService,
  Leadership,
} from '../../src/ha/leader-election.ts';

/** Keeps a record of what it is told, and fails when told anything while it is being told something else. */
export class TestingContender implements LeaderContender {
  readonly calls: string[] = [];
  readonly grants: LeaderSessionId[] = [];
  readonly terms: Leadership[] = [];
  readonly errors: Error[] = [];
  readonly views: ElectionView[] = [];
  readonly #election: LeaderElectionService;
  /** Confirms each grant at once, inside the grant. */
  confirms = true;
  /** Called with each probe; passes it on at once unless a test hangs the loop. */
  onProbe: (done: () => void) => void = (done) => done();
  /** The present term; null once revoked. */
  leadership: Leadership | null = null;
  serving = false;
  /** How many task executors it claims to reach. */
  taskExecutors = 0;
  #inside = false;

  constructor(election: LeaderElectionService) {
    this.#election = election;
  }

  grantLeadership(leaderSessionId: LeaderSessionId): void {
    this.#told('grant', () => {
      this.grants.push(leaderSessionId);
      if (this.confirms) this.#election.confirmLeaderSessionId(leaderSessionId);
    });
  }

  leadershipConfirmed(leadership: Leadership): void {
    this.#told('confirmed', () => {
      this.leadership = leadership;
      this.serving = true;
      this.terms.push(leadership);
    });
  }

  revokeLeadership(reason: string): void {
    this.#told(`revoke: ${reason}`, () => {
      this.leadership = null;
      this.serving = false;
    });
  }

  servingChanged(serving: boolean): void {
    this.#told(serving ? 'serving' : 'suspended', () => {
      this.serving = serving;
    });
  }

  viewChanged(view: ElectionView): void {
    this.#told(null, () => this.views.push(view));
  }

  probe(done: () => void): void {
    this.#told(null, () => this.onProbe(done));
  }

  reachableTaskExecutors(): number {
    return this.taskExecutors;
  }

  handleError(error: Error): void {
    this.errors.push(error);
  }

  #told(call: string | null, action: () => void): void {
    if (this.#inside) throw new Error(`told ${call} while being told something else`);
    this.#inside = true;
    if (call !== null) this.calls.push(call);
    try {
      action();
    } finally {
      this.#inside = false;
    }
  }
}

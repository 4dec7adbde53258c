/** Every key of one cluster, as DESIGN's contract names them. */
export class ClusterKeys {
  /** Everything of this cluster is under it. */
  readonly root: string;
  /** Candidate keys only, one for each lease, so that `etcdctl elect -l` works on it. */
  readonly election: string;
  readonly leader: string;
  readonly identity: string;
  readonly jobMasters: string;
  readonly taskExecutors: string;
  readonly challenges: string;
  readonly history: string;
  /** Never put: a put of it in a branch that is not taken shows whether the store has space. */
  readonly space: string;

  constructor(cluster: string) {
    this.root = `/quartermaster/${cluster}/`;
    this.election = `${this.root}election/`;
    this.leader = `${this.root}leader`;
    this.identity = `${this.root}identity`;
    this.jobMasters = `${this.root}job-masters/`;
    this.taskExecutors = `${this.root}task-executors/`;
    this.challenges = `${this.root}challenge/`;
    this.history = `${this.root}history/`;
    this.space = `${this.root}space`;
  }

  candidate(leaseId: bigint): string {
    return `${this.election}${leaseId.toString(16)}`;
  }

  jobMaster(jobId: string): string {
    return `${this.jobMasters}${jobId}`;
  }

  taskExecutor(resourceId: string): string {
    return `${this.taskExecutors}${resourceId}`;
  }

  challenge(generation: number, epoch: bigint): string {
    return `${this.challenges}${generation}-${epoch}`;
  }

  /** Zero padded, so that keys sort by generation, then epoch. */
  historyRow(generation: number, epoch: bigint): string {
    return `${this.history}${String(generation).padStart(10, '0')}-${epoch.toString().padStart(19, '0')}`;
  }
}

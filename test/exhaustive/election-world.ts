/** How large the world is, and how often each thing may happen in one run. */
export interface ElectionBounds {
  readonly candidates: number;
  /** Whether nobody has joined yet, or all are in line and the first one is about to confirm, or leads. */
  readonly from: 'nothing' | 'line' | 'leader';
  /** Whether candidates read history ahead, and confirm unread when the head has gone; else they read it before each confirm. */
  readonly readsAhead: boolean;
  readonly crashes: number;
  readonly pauses: number;
  /** A candidate is cut off from etcd, not from the others. */
  readonly cuts: number;
  /** A candidate is cut off from etcd and from the others. */
  readonly isolations: number;
  /** Calls that are carried out and whose answer is lost. */
  readonly lostAnswers: number;
  /** Transactions of which etcd holds a copy back and carries it out at any later time, or never. */
  readonly held: number;
  /** Records that a leader writes, which etcd must not take from a deposed one. */
  readonly writes: number;
  /** A leader is asked to go. */
  readonly resignations: number;
  /** Steps of 125 ms. */
  readonly timeSteps: number;
}

/** What may happen a bounded number of times. */
export type Fault = Exclude<keyof ElectionBounds, 'candidates' | 'from' | 'readsAhead'>;

/** In a fixed order. */
export const FAULTS: readonly Fault[] = [
  'crashes',
  'pauses',
  'cuts',
  'isolations',
  'lostAnswers',
  'held',
  'writes',
  'resignations',
  'timeSteps',
];

/** One state of the whole. */
export interface ElectionWorld {
  readonly nowMs: number;
  readonly processes: readonly number[];
  readonly store: number;
  readonly up: readonly ('running' | 'paused' | 'cut' | 'isolated' | 'crashed')[];
  /** Answers that wait for a paused process. */
  readonly inboxes: readonly (readonly number[])[];
  /** Who has yet to learn that whom crashed. */
  readonly news: readonly string[];
  readonly held: readonly number[];
  readonly left: Readonly<Record<Fault, number>>;
}

/** The same with one such event fewer left. */
export function use(world: ElectionWorld, fault: Fault): ElectionWorld {
  return { ...world, left: { ...world.left, [fault]: world.left[fault] - 1 } };
}

/** Whether it does anything at all. */
export function runs(world: ElectionWorld, index: number): boolean {
  return world.up[index] !== 'paused' && world.up[index] !== 'crashed';
}

/** Whether it does not reach etcd. */
export function isCut(up: ElectionWorld['up'][number]): boolean {
  return up === 'cut' || up === 'isolated';
}

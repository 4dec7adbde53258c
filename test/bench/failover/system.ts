import type { ProcessSpec } from '../../../src/cli/cluster/process-supervisor.ts';
import type { Report } from './claims.ts';

/** What is done to a leader: it is killed, asked to end, or stopped and woken once it has a successor. */
export const FAULTS = ['crash', 'sigterm', 'pause'] as const;
export type Fault = (typeof FAULTS)[number];

/** Takes a report of a candidate. */
export type Tell = (report: Report) => void;

/** One way to elect a leader, with its candidates as processes of their own. */
export interface System {
  /** As in the report; unique. */
  readonly name: string;
  /** Where its candidates' keys are in etcd, and nothing else. */
  readonly electionPrefix: string;
  readonly candidates: readonly string[];
  /** A round that lasts longer has failed. */
  readonly takeOverLimitMs: number;
  /** How each candidate is started; what it says of itself is told. */
  specs(tell: Tell): ProcessSpec[];
  /** Whose key that is; null when it is nobody's. */
  candidateOf(value: string): string | null;
  /** Its processes say once that they lead, and hold it until they end. */
  readonly claimsUntilItsEnd: boolean;
  /** Starts to ask the candidates, again and again, whether they lead; nothing where they say so by themselves. */
  askForClaims(tell: Tell, signal: AbortSignal): void;
  /** What it lacks to take the next fault as it would in calm; null when nothing. */
  missing(): Promise<string | null>;
  /** After a round: how the term that began at that revision ended if not as it should; null when it did. */
  judgeEnd(epoch: bigint, fault: Fault): Promise<string | null>;
}

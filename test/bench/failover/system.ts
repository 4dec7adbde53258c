import type { ProcessSpec } from '../../../src/cli/cluster/process-supervisor.ts';
import type { Report } from './claims.ts';
import type { Effect } from './effects.ts';

/** What is done to a leader: it is killed, asked to end, or stopped and woken once it has a successor. */
export const FAULTS = ['crash', 'sigterm', 'pause'] as const;
export type Fault = (typeof FAULTS)[number];

/** Takes a report of a candidate. */
export type Tell = (report: Report) => void;

/** Takes an effect of a leader that somebody has accepted. */
export type Took = (effect: Effect) => void;

/** How a term ended, and whether after such a fault it should end like this. */
export interface TermEnded {
  readonly how: string;
  readonly asItShould: boolean;
}

/** One way to elect a leader, with its candidates as processes of their own. */
export interface System {
  /** As in the report; unique. */
  readonly name: string;
  /** Where its candidates' keys are in etcd, and nothing else. */
  readonly electionPrefix: string;
  readonly candidates: readonly string[];
  /** A round that lasts longer has failed. */
  readonly takeOverLimitMs: number;
  /** How each process is started; what candidates say of themselves is told, and what had effect. */
  specs(tell: Tell, took: Took): ProcessSpec[];
  /** Whose key that is; null when it is nobody's. */
  candidateOf(value: string): string | null;
  /** Whom a leader orders about refuses those of the past. Where not, that a leader says that it leads is its effect. */
  readonly fences: boolean;
  /** Its processes say once that they lead, and hold it until they end. */
  readonly claimsUntilItsEnd: boolean;
  /** Starts to ask the candidates, again and again, whether they lead; nothing where they say so by themselves. */
  askForClaims(tell: Tell, signal: AbortSignal): void;
  /** What it lacks to take the next fault as it would in calm; null when nothing. */
  missing(): Promise<string | null>;
  /** After a round: how the term that began at that revision ended; null where nobody writes it down. */
  termEnd(epoch: bigint, fault: Fault): Promise<TermEnded | null>;
}

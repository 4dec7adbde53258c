import type { CommandNumber } from '../command-number.ts';
import type { FencingToken } from '../fencing-token.ts';
import type { ClusterId, InstanceId } from '../ids.ts';
import type { ReplyBody, RequestBody } from '../messages/catalogue.ts';
import type { SlotReport } from '../messages/slots.ts';
import type { Problem } from '../problem.ts';
import type { LeaseEndReason, SlotLease } from './slot-lease.ts';

/** What a task executor's book is told. Keys are the shell's: they come back in effects and mean nothing here. */
export type TaskExecutorEvent =
  /**
   * On a connection that this process dialled and whose server proved itself. `byItself`: the sender says that
   * it leads; else a standby names another one, which raises the token and nothing more.
   */
  | {
      readonly type: 'leaderAnnounced';
      readonly linkKey: number;
      readonly byItself: boolean;
      readonly token: FencingToken;
      readonly clusterId: ClusterId | null;
    }
  /** The shell wants to register (again) with the leader of that token. */
  | { readonly type: 'registrationDue'; readonly linkKey: number; readonly token: FencingToken }
  | {
      readonly type: 'registrationAcknowledged';
      readonly linkKey: number;
      readonly token: FencingToken;
      readonly knownBefore: boolean;
    }
  /** The connection ended; when it was the leader's, nothing is reported until the next acknowledged registration. */
  | { readonly type: 'linkLost'; readonly linkKey: number }
  | { readonly type: 'reportRequested'; readonly token: FencingToken; readonly instanceId: InstanceId }
  | {
      readonly type: 'commandsReceived';
      readonly answerKey: number;
      readonly body: RequestBody<'executeSlotCommands'>;
    }
  | { readonly type: 'slotClaimed'; readonly answerKey: number; readonly body: RequestBody<'claimSlot'> }
  | { readonly type: 'leasesRenewed'; readonly answerKey: number; readonly body: RequestBody<'renewLeases'> }
  | {
      readonly type: 'leasesReleased';
      readonly answerKey: number;
      readonly body: RequestBody<'releaseLeases'>;
    }
  /** This process is about to end: no new slots from now on. */
  | { readonly type: 'closing' }
  /** Time has come for whatever `nextDueMs` announced. */
  | { readonly type: 'tick' };

/** One line of the journal; a lease's history can be told from its lines alone. */
export type JournalEntry =
  | { readonly event: 'grant' | 'claim' | 'renew' | 'restore'; readonly lease: SlotLease }
  | { readonly event: 'end'; readonly lease: SlotLease; readonly reason: LeaseEndReason }
  | { readonly event: 'token-adopted'; readonly token: FencingToken }
  | {
      readonly event: 'command-refused';
      readonly token: FencingToken;
      readonly number: CommandNumber;
      readonly problem: Problem;
    };

/** What a write makes durable: everything, or no more than a token that was adopted. */
export type PersistedPart = 'state' | 'token';

/**
 * What the book wants done, in order. What stands behind a `persist` must not begin before the state of that
 * moment, or a later one, is durable; `register` alone need not wait for a mere token.
 */
export type TaskExecutorEffect =
  | { readonly type: 'persist'; readonly what: PersistedPart }
  | {
      readonly type: 'answerCommands';
      readonly answerKey: number;
      readonly reply: ReplyBody<'executeSlotCommands'>;
    }
  | { readonly type: 'answerClaim'; readonly answerKey: number; readonly reply: ReplyBody<'claimSlot'> }
  | { readonly type: 'answerRenewal'; readonly answerKey: number; readonly reply: ReplyBody<'renewLeases'> }
  | { readonly type: 'answerRelease'; readonly answerKey: number }
  | { readonly type: 'answerProblem'; readonly answerKey: number; readonly problem: Problem }
  | {
      readonly type: 'register';
      readonly linkKey: number;
      readonly token: FencingToken;
      readonly report: SlotReport;
    }
  | {
      readonly type: 'reportSlots';
      readonly linkKey: number;
      readonly token: FencingToken;
      readonly report: SlotReport;
    }
  /** The sender told a token lower than ours. */
  | { readonly type: 'tellFenced'; readonly linkKey: number; readonly token: FencingToken }
  /** The sender belongs to another cluster than the one that this task executor remembers. */
  | {
      readonly type: 'refuseCluster';
      readonly linkKey: number;
      readonly known: ClusterId;
      readonly offered: ClusterId;
    }
  /** A lease came into a job master's hand; `restored`: under a former process. Followed by one `leaseEnded`. */
  | { readonly type: 'leaseClaimed'; readonly lease: SlotLease; readonly restored: boolean }
  | { readonly type: 'leaseEnded'; readonly lease: SlotLease; readonly reason: LeaseEndReason }
  /** The leader orders this process to end. */
  | { readonly type: 'stop' }
  | { readonly type: 'journal'; readonly atMs: number; readonly entry: JournalEntry };

import type { TermEnd } from '../../../src/ha/election-records.ts';
import { DEPOSED } from '../../../src/ha/history.ts';
import type { Fault, TermEnded } from './system.ts';

/** By its row of history: a leader that was killed or stopped is to be deposed, one that was asked to end is to say so. */
export function termEndedBy(ended: TermEnd | null, fault: Fault): TermEnded {
  if (ended === null) return { how: 'history does not tell', asItShould: false };
  const asItShould = fault === 'sigterm' ? ended.reason.includes('SIGTERM') : ended.reason === DEPOSED;
  return { how: `${ended.reason}: ${ended.evidence}`, asItShould };
}

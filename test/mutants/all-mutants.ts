import { BOOK_MUTANTS } from './book-mutants.ts';
import { DEADLINE_MUTANTS } from './deadline-mutants.ts';
import { ELECTION_MUTANTS } from './election-mutants.ts';
import { FAILOVER_MUTANTS } from './failover-mutants.ts';
import { JOB_MASTER_MUTANTS } from './job-master-mutants.ts';
import type { Mutant } from './mutant.ts';
import { SLOT_MUTANTS } from './slot-mutants.ts';

/** Every fault that is planted, in the order of the table in README. */
export const ALL_MUTANTS: readonly Mutant[] = [
  ...ELECTION_MUTANTS,
  ...DEADLINE_MUTANTS,
  ...FAILOVER_MUTANTS,
  ...SLOT_MUTANTS,
  ...BOOK_MUTANTS,
  ...JOB_MASTER_MUTANTS,
];

/** How many terms history keeps in the store; the oldest ones are dropped in the confirm of a new one. */
export const HISTORY_ROWS_KEPT = 1_000;

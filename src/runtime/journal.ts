import type { LogFields } from './logger.ts';

/**
 * Where a worker writes down what it promised or was promised, for a later audit: one line per event, in
 * order. Every line says `atMs`, on the monotonic clock of its process; whoever writes the file adds the
 * time of day.
 */
export interface Journal {
  record(event: string, fields: LogFields & { readonly atMs: number }): void;
}

/** Keeps nothing. */
export const NO_JOURNAL: Journal = { record: () => {} };

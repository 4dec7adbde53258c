import type { Timing } from '../core/timing.ts';
import type { CoordinationStore, KeyValue } from '../ha/coordination-store.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';

const PAGE_KEYS = 500;

/** What reading a folder needs. */
export interface FolderReading {
  readonly store: CoordinationStore;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly logger: Logger;
  /** Every key that starts with it is read. */
  readonly prefix: string;
  /** Asked before each call; once true, nothing more is read. */
  isOver(): boolean;
  /** Gets the pages in the order of their keys. */
  onPage(keyValues: readonly KeyValue[]): void;
}

/**
 * Reads a folder of the store page by page, at the next endpoint after each failure, until all of it has been
 * read. Only this leader writes there, so the pages belong together. True when it is complete.
 */
export async function readFolder(reading: FolderReading): Promise<boolean> {
  const { store, clock, timing, logger, prefix } = reading;
  const { endpoints } = store;
  let after: string | undefined;
  let attempt = 0;
  while (!reading.isOver()) {
    const endpoint = endpoints[attempt % endpoints.length] ?? endpoints[0];
    try {
      const range = { type: 'range', key: prefix, prefix: true, limit: PAGE_KEYS } as const;
      const page = await endpoint.range(after === undefined ? range : { ...range, after }, timing.etcdCallMs);
      if (reading.isOver()) return false;
      reading.onPage(page.keyValues);
      after = page.keyValues.at(-1)?.key ?? after;
      if (!page.more) return true;
    } catch (error) {
      attempt += 1;
      logger.log('warn', 'take-over-read-failed', { prefix, endpoint: endpoint.name, error: String(error) });
      await new Promise<void>((resolve) => clock.schedule(timing.etcdResendMs, resolve));
    }
  }
  return false;
}

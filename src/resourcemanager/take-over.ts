import type { KeyValue } from '../ha/coordination-store.ts';
import type { FolderStart } from '../ha/leader-election.ts';
import { sendUntilAnswered, type StoreContext } from '../ha/persistent-call.ts';

const PAGE_KEYS = 500;

/** What reading a folder needs. */
export interface FolderReading {
  readonly context: StoreContext;
  /** Every key that starts with it is read. */
  readonly prefix: string;
  /** What is known already; null: nothing. */
  readonly start: FolderStart | null;
  /** Aborted when the term is over; then nothing more is read. */
  readonly signal: AbortSignal;
  /** Gets the pages in the order of their keys. */
  readonly onPage: (keyValues: readonly KeyValue[]) => void;
}

/**
 * Reads a folder of the store page by page, each from whichever endpoint answers first, until all of it has been
 * read. Only this leader writes there, so the pages belong together. True when it is complete.
 */
export async function readFolder(reading: FolderReading): Promise<boolean> {
  const { context, prefix, start, signal, onPage } = reading;
  if (start !== null) onPage(start.keyValues);
  if (start?.more === false) return true;
  let after = start?.keyValues.at(-1)?.key;
  for (;;) {
    const all = { type: 'range', key: prefix, prefix: true, limit: PAGE_KEYS } as const;
    const range = after === undefined ? all : { ...all, after };
    const outcome = await sendUntilAnswered(
      context,
      (endpoint) => endpoint.range(range, context.timing.etcdCallMs),
      { name: 'take over', signal },
    );
    if (outcome.kind !== 'answered' || signal.aborted) return false;
    const page = outcome.value;
    onPage(page.keyValues);
    after = page.keyValues.at(-1)?.key ?? after;
    if (!page.more) return true;
  }
}

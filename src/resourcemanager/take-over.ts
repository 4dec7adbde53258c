import type { KeyValue } from '../ha/coordination-store.ts';
import { sendUntilAnswered, type StoreContext } from '../ha/persistent-call.ts';

const PAGE_KEYS = 500;

/** What reading a folder needs. */
export interface FolderReading {
  readonly context: StoreContext;
  /** Every key that starts with it is read. */
  readonly prefix: string;
  /** Aborted when the term is over; then nothing more is read. */
  readonly signal: AbortSignal;
  /** Gets the pages in the order of their keys. */
  readonly onPage: (keyValues: readonly KeyValue[]) => void;
}

/**
 * Reads a folder of the store page by page, each from whichever endpoint answers first, until all of it has been
 * read. Only this leader writes there, so the pages belong together. True when it is complete.
 */
export async function readFolder({ context, prefix, signal, onPage }: FolderReading): Promise<boolean> {
  let after: string | undefined;
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

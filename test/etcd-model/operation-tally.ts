import type { Said } from './compare-stores.ts';

/** What a long run must have seen for its silence to mean anything. */
const EXPECTED = [
  'transact done',
  'transact else branch',
  'transact rejected',
  'transact lease-not-found',
  'transact compacted',
  'range done',
  'range rejected',
  'range compacted',
  'grant done',
  'grant lease-exists',
  'grant rejected',
  'keepAlive done',
  'keepAlive lease-not-found',
  'revoke done',
  'revoke lease-not-found',
  'watch stands',
  'watch compacted',
  'unwatch done',
  'compact done',
  'compact compacted',
  'compact rejected',
  'expire done',
];

/** Counts operations by what became of them. */
export class OperationTally {
  operations = 0;
  readonly #counts = new Map<string, number>();
  #expired = 0;
  #events = 0;

  add({ operation, answer }: Said): void {
    this.operations += 1;
    const kind = `${operation.type} ${outcomeOf(answer)}`;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    this.#events +=
      answer.split('"type":"put","keyValue"').length - 1 + answer.split('"type":"delete","key"').length - 1;
    if (operation.type === 'expire')
      this.#expired += (JSON.parse(answer) as { doomed: string[] }).doomed.length;
  }

  neverSeen(): string[] {
    return EXPECTED.filter((kind) => !this.#counts.has(kind));
  }

  table(): string {
    const lines = [...this.#counts.keys()]
      .toSorted((a, b) => a.localeCompare(b))
      .map((kind) => `  ${String(this.#counts.get(kind)).padStart(7)} ${kind}`);
    return [
      ...lines,
      `  ${String(this.#events).padStart(7)} events of watches`,
      `  ${String(this.#expired).padStart(7)} leases that ran out`,
    ].join('\n');
  }
}

function outcomeOf(answer: string): string {
  const said: unknown = JSON.parse(answer);
  if (typeof said === 'string') return said;
  if (typeof said !== 'object' || said === null) return 'done';
  if ('succeeded' in said) return said.succeeded === true ? 'done' : 'else branch';
  if ('ended' in said) return said.ended === null ? 'stands' : (said.ended as { kind: string }).kind;
  return 'done';
}

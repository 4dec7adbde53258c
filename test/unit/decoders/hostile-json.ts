import fc from 'fast-check';

/** What nobody expects in the place of a value, as JSON. */
const HOSTILE: readonly string[] = [
  'null',
  'true',
  '0',
  '-0',
  '-1',
  '1.5',
  '1e999',
  '-1e999',
  '9007199254740993',
  '1e300',
  '""',
  '"\\ud800"',
  '"\\udc00x"',
  '"\\u0000"',
  '"\\u001b[2J"',
  '"__proto__"',
  '"constructor"',
  '"99999999999999999999999999"',
  '"-5"',
  '"1e5"',
  JSON.stringify('x'.repeat(5_000)),
  '[]',
  '{}',
  '[null]',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"toString":null,"valueOf":null,"hasOwnProperty":null}',
  '{"length":1000000000}',
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
];

const NAMES = ['__proto__', 'constructor', 'toString', '', 'x'.repeat(5_000), '\ud800', 'length', 'then'];

type Change =
  | 'drop'
  | 'replace'
  | 'duplicateBefore'
  | 'duplicateAfter'
  | 'rename'
  | 'add'
  | 'wrap'
  | 'repeat';

interface Mutation {
  readonly at: number;
  readonly change: Change;
  readonly hostile: string;
  readonly name: string;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(10_000),
  change: fc.constantFrom<Change>(
    'drop',
    'replace',
    'replace',
    'duplicateBefore',
    'duplicateAfter',
    'rename',
    'add',
    'wrap',
    'repeat',
  ),
  hostile: fc.constantFrom(...HOSTILE),
  name: fc.constantFrom(...NAMES),
});

function countNodes(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((sum, inner) => sum + countNodes(inner), 1);
}

/** The value as JSON with one place of it changed. */
function mutate(value: unknown, { at, change, hostile, name }: Mutation): string {
  let left = at % countNodes(value);
  const print = (inner: unknown, key: string | null): string[] => {
    const here = left-- === 0;
    const text = (): string => {
      if (Array.isArray(inner)) return `[${inner.flatMap((each) => print(each, null)).join()}]`;
      if (typeof inner !== 'object' || inner === null) return JSON.stringify(inner);
      const fields = Object.entries(inner).flatMap(([field, each]) => print(each, field));
      return `{${(here && change === 'add' ? [...fields, `${JSON.stringify(name)}:${hostile}`] : fields).join()}}`;
    };
    const as = (content: string, label = key): string =>
      label === null ? content : `${JSON.stringify(label)}:${content}`;
    const own = text();
    if (!here) return [as(own)];
    switch (change) {
      case 'drop':
        return [];
      case 'replace':
        return [as(hostile)];
      case 'duplicateBefore':
        return [as(hostile), as(own)];
      case 'duplicateAfter':
        return [as(own), as(hostile)];
      case 'rename':
        return [as(own, key === null ? null : name)];
      case 'add':
        return [as(own)];
      case 'wrap':
        return [as(`[${own}]`)];
      case 'repeat':
        return key === null ? [own, own, own] : [as(own)];
    }
  };
  return print(value, null).join();
}

/** JSON, or nearly JSON: the samples with one place changed, any JSON, any text. */
export function hostileJson(samples: readonly unknown[]): fc.Arbitrary<string> {
  const mutated = fc.tuple(fc.constantFrom(...samples), mutation).map(([sample, how]) => mutate(sample, how));
  const cut = fc.tuple(fc.constantFrom(...samples), fc.nat(10_000)).map(([sample, at]) => {
    const text = JSON.stringify(sample);
    return text.slice(0, at % (text.length + 1));
  });
  return fc.oneof(
    { weight: 12, arbitrary: mutated },
    { weight: 1, arbitrary: cut },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    { weight: 1, arbitrary: fc.constantFrom(...HOSTILE) },
  );
}

/** Throws when reading something has changed what every object inherits. */
export function checkPrototypes(): void {
  const inherited = Object.keys(Object.prototype);
  if (inherited.length > 0 || 'polluted' in {}) throw new Error(`every object has ${inherited.join()} now`);
}

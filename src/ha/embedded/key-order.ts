import type { KeyRange } from '../coordination-store.ts';

/** Surrogates stand for code points above all others; moved behind the rest they sort as UTF-8 does. */
function weight(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Order of keys in etcd: by the bytes of their UTF-8 form. Negative when `a` comes first. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const difference = weight(a.charCodeAt(index)) - weight(b.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Whether the key belongs to the range. */
export function covers(range: KeyRange, key: string): boolean {
  return range.prefix === true ? key.startsWith(range.key) : key === range.key;
}

/** Index of the first of the sorted keys that is not before `key`. */
export function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(sorted[middle] ?? '', key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

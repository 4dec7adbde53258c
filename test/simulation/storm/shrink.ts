/**
 * Leaves out of a list whatever is not needed for `fails` to stay true, first in large parts, then one by one (delta
 * debugging). What is returned fails, and no single entry of it can be left out. `all` must fail.
 */
export async function shrink<T>(
  all: readonly T[],
  fails: (some: readonly T[]) => Promise<boolean>,
): Promise<T[]> {
  let kept = [...all];
  if (kept.length > 0 && (await fails([]))) return [];
  let parts = Math.min(2, kept.length);
  while (kept.length > 1) {
    const shorter = await withoutOnePart(kept, parts, fails);
    if (shorter !== null) {
      kept = shorter;
      parts = Math.max(2, Math.min(parts - 1, kept.length));
    } else if (parts >= kept.length) {
      break;
    } else {
      parts = Math.min(kept.length, 2 * parts);
    }
  }
  return kept;
}

async function withoutOnePart<T>(
  all: readonly T[],
  parts: number,
  fails: (some: readonly T[]) => Promise<boolean>,
): Promise<T[] | null> {
  for (let part = 0; part < parts; part++) {
    const from = Math.floor((part * all.length) / parts);
    const to = Math.floor(((part + 1) * all.length) / parts);
    const rest = [...all.slice(0, from), ...all.slice(to)];
    if (rest.length < all.length && (await fails(rest))) return rest;
  }
  return null;
}

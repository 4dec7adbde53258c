/** A time for people: milliseconds below a second, else seconds; a dash for none. */
export function formatMs(ms: number | null): string {
  if (ms === null) return '–';
  if (Math.abs(ms) >= 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (Math.abs(ms) >= 1_000) return `${(ms / 1_000).toFixed(2)} s`;
  return `${Math.abs(ms) < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
}

/** Round numbers from 0 to `most`, five or so; the last one is not above it. */
export function linearTicks(most: number): number[] {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step);
}

/** The nearest 1, 2 or 5 times a power of ten: not above, or not below. */
export function roundDown(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([5, 2, 1].find((factor) => factor * power <= value) ?? 1);
}
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((factor) => factor * power >= value) ?? 10);
}

/** 1, 2 and 5 times each power of ten from `least` to `most`, or powers of ten alone where there are many. */
export function logTicks(least: number, most: number): number[] {
  const powers = range(Math.floor(Math.log10(least)), Math.ceil(Math.log10(most)));
  const factors = powers.length > 4 ? [1] : [1, 2, 5];
  return powers
    .flatMap((power) => factors.map((factor) => factor * 10 ** power))
    .filter((tick) => tick >= least && tick <= most);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** A coordinate without needless digits. */
export function coordinate(value: number): number {
  return Math.round(value * 10) / 10;
}

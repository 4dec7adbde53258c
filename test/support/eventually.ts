const LEAST_PAUSE_MS = 5;
const MOST_PAUSE_MS = 100;
/** Asking may keep a processor busy which what is waited for needs: it gets a fourth of the time. */
const PAUSE_PER_ASKING = 3;

/**
 * Resolves as soon as the condition holds, asked every few milliseconds, one that is dear less often; rejects after
 * `limitMs`, saying what did not.
 */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    const askedMs = performance.now();
    if (await condition()) return;
    const nowMs = performance.now();
    if (nowMs > endMs) throw new Error(`${what}: not within ${limitMs} ms`);
    const pauseMs = Math.max(LEAST_PAUSE_MS, PAUSE_PER_ASKING * (nowMs - askedMs));
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, MOST_PAUSE_MS)));
  }
}

const POLL_MS = 5;

/** Whether the condition, asked every few milliseconds, comes to hold within that time; what it throws is thrown. */
export async function within(limitMs: number, condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}

/** A time throughout which a leader did not serve, by its own log, in ms since 1970. */
export interface Suspension {
  readonly fromWallMs: number;
  /** When it served again or its term ended; null when it had not by the end of the log. */
  readonly untilWallMs: number | null;
}

interface LogLine {
  readonly time?: unknown;
  readonly event?: unknown;
}

const BEGINS = 'suspended';
const ENDS: readonly unknown[] = ['serving', 'term-ended'];

/** The suspensions in the JSON log of a resource manager; lines that are no JSON are passed over. */
export function suspensionsIn(log: string): Suspension[] {
  const found: Suspension[] = [];
  let fromWallMs: number | null = null;
  for (const text of log.split('\n')) {
    if (!text.includes(BEGINS) && !ENDS.some((end) => text.includes(String(end)))) continue;
    const line = parsed(text);
    const atWallMs = Date.parse(String(line?.time));
    if (line === null || Number.isNaN(atWallMs)) continue;
    if (line.event === BEGINS) fromWallMs ??= atWallMs;
    else if (ENDS.includes(line.event) && fromWallMs !== null) {
      found.push({ fromWallMs, untilWallMs: atWallMs });
      fromWallMs = null;
    }
  }
  if (fromWallMs !== null) found.push({ fromWallMs, untilWallMs: null });
  return found;
}

function parsed(text: string): LogLine | null {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return null;
  }
}

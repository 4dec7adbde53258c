/** What a run of mocha says in TAP, line by line, also when it ends in the middle. */
export interface TapReport {
  readonly passed: number;
  /** Full titles of the tests and hooks that failed. */
  readonly failures: readonly string[];
  /** Whether the summary has come, which mocha writes at its end. */
  readonly complete: boolean;
}

/** Reads mocha's `tap` reporter. */
export function parseTap(output: string): TapReport {
  let passed = 0;
  let complete = false;
  const failures: string[] = [];
  for (const line of output.split('\n')) {
    const [, not, title] = /^(not )?ok \d+ (.*)$/.exec(line) ?? [];
    if (title !== undefined && not === undefined) passed += 1;
    if (title !== undefined && not !== undefined) failures.push(title);
    if (/^# pass \d+$/.test(line)) complete = true;
  }
  return { passed, failures, complete };
}

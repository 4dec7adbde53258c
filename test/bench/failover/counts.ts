/** How many rounds each system plays under each fault. */
export interface Counts {
  readonly rounds: number;
  /** Of etcdctl, whose rounds last a minute; 0 leaves it out. */
  readonly etcdctlRounds: number;
}

/** From `ROUNDS` and `ETCDCTL_ROUNDS`; an error that names the wrong one. */
export function countsFrom(environment: Readonly<Record<string, string | undefined>>): Counts {
  const count = (name: string, fallback: number, least: number): number => {
    const text = environment[name] ?? String(fallback);
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > 1_000) {
      throw new Error(
        `${name} must be a whole number from ${least} to 1000, but is ${JSON.stringify(text)}.`,
      );
    }
    return value;
  };
  return { rounds: count('ROUNDS', 15, 1), etcdctlRounds: count('ETCDCTL_ROUNDS', 2, 0) };
}

/**
 * What a slot offers or a request requires (Flink's `ResourceProfile`): processor cores, memory in MB, and
 * named amounts such as `{ gpu: 1 }`. All amounts are finite and not negative.
 */
export interface ResourceProfile {
  readonly cpuCores: number;
  readonly memoryMB: number;
  readonly extended: Readonly<Record<string, number>>;
}

/** Whether every amount offered is at least the one required; an extended amount not named is 0. */
export function fits(offered: ResourceProfile, required: ResourceProfile): boolean {
  if (offered.cpuCores < required.cpuCores || offered.memoryMB < required.memoryMB) return false;
  return Object.entries(required.extended).every(([name, amount]) => amountOf(offered, name) >= amount);
}

/** Whether two profiles name the same amounts. */
export function sameProfile(a: ResourceProfile, b: ResourceProfile): boolean {
  return fits(a, b) && fits(b, a);
}

/** The extended amount of that name; 0 when the profile does not name it. */
export function amountOf(profile: ResourceProfile, name: string): number {
  return Object.hasOwn(profile.extended, name) ? (profile.extended[name] ?? 0) : 0;
}

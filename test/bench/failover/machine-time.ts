/** Milliseconds of this machine's monotonic clock: one and the same scale in every process on it. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1_000_000;
}

/** What decides whether network namespaces can be made. */
export interface NamespaceMeans {
  readonly platform: NodeJS.Platform;
  /** User that this process acts for; null where there is none. */
  readonly userId: number | null;
  /** Where `ip` of iproute2 is; null when it is nowhere. */
  readonly ip: string | null;
}

/** One sentence that says why `--network namespaces` cannot be; null when it can. */
export function namespaceRefusal({ platform, userId, ip }: NamespaceMeans): string | null {
  const instead = 'use --network proxies.';
  if (platform !== 'linux') return `--network namespaces needs Linux, and this is ${platform}: ${instead}`;
  if (userId !== 0)
    return `--network namespaces needs root, and this is user ${userId ?? 'unknown'}: ${instead}`;
  if (ip === null)
    return `--network namespaces needs the program ip (package iproute2), which is not here: ${instead}`;
  return null;
}

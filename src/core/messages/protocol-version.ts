/** Newest version of the messages that this code speaks. It goes up when an older reader would misunderstand something. */
export const PROTOCOL_VERSION: number = 1;

/** Oldest version of the messages that this code still speaks: the one before, so that a cluster is upgraded process by process. */
export const OLDEST_PROTOCOL_VERSION: number = 1;

/** The versions of the messages that one process speaks, both ends included. */
export interface SpokenVersions {
  /** The newest. */
  readonly protocolVersion: number;
  /** Left out by whoever speaks one version only. */
  readonly oldestProtocolVersion?: number | undefined;
}

/** What this process speaks. */
export const OWN_VERSIONS: { readonly protocolVersion: number; readonly oldestProtocolVersion: number } = {
  protocolVersion: PROTOCOL_VERSION,
  oldestProtocolVersion: OLDEST_PROTOCOL_VERSION,
};

/** The newest version that both speak; null when there is none. */
export function agreedVersion(one: SpokenVersions, other: SpokenVersions): number | null {
  const newest = Math.min(one.protocolVersion, other.protocolVersion);
  return newest >= oldestOf(one) && newest >= oldestOf(other) ? newest : null;
}

/** For people: "1" or "1 to 2". */
export function describeVersions(spoken: SpokenVersions): string {
  const oldest = oldestOf(spoken);
  return oldest === spoken.protocolVersion ? `${oldest}` : `${oldest} to ${spoken.protocolVersion}`;
}

function oldestOf({ protocolVersion, oldestProtocolVersion }: SpokenVersions): number {
  return oldestProtocolVersion ?? protocolVersion;
}

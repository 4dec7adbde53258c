import { agreedVersion, describeVersions, OWN_VERSIONS } from '../messages/protocol-version.ts';
import type { LineEntry } from './election-events.ts';

/**
 * For people: who of those in line speaks no version of the messages that this process speaks; null when there is
 * nobody. Two such would take the workers from each other, so the one that stands behind makes way.
 */
export function unspokenVersion(line: readonly LineEntry[]): string | null {
  for (const { candidate } of line) {
    if (candidate === null || agreedVersion(candidate, OWN_VERSIONS) !== null) continue;
    const { resourceManagerId, version } = candidate;
    const [theirs, ours] = [describeVersions(candidate), describeVersions(OWN_VERSIONS)];
    return `${resourceManagerId} (${version}) in line speaks protocol version ${theirs}, this process ${ours}`;
  }
  return null;
}

import type { PeerSighting } from '../core/election/peer-sighting.ts';
import { agreedVersion, describeVersions, OWN_VERSIONS } from '../core/messages/protocol-version.ts';
import type { Problem } from '../core/problem.ts';
import type { Timing } from '../core/timing.ts';
import type { Candidate, ElectionView } from '../ha/leader-election.ts';
import type { Dialer } from '../rpc/connection.ts';
import type { HandshakeContext } from '../rpc/handshake.ts';
import { ResourceManagerLinks, type Introduction } from '../rpc/resource-manager-links.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ResourceManagerId } from '../core/ids.ts';
import type { StandbyView } from './operator-view.ts';

/** A peer that does not answer a ping for this long is hung up on and dialled again, in milliseconds. */
const PING_TIMEOUT_MS = 2_000;

/** A process that has crashed takes a few milliseconds to close its sockets, so the first refusal is near. */
const REDIAL = { firstMs: 20, mostMs: 2_000, atOnceAfterMs: 1_000 };

/** What the connections to the other candidates are made from. */
export interface PeersOptions {
  readonly context: HandshakeContext;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly logger: Logger;
  readonly ownId: ResourceManagerId;
  readonly ownAddress: string;
  readonly introduction: () => Introduction;
  /** Takes whatever is seen of the others: the election judges what it proves. */
  readonly sighted: (sighting: PeerSighting) => void;
}

interface Pong {
  readonly bootNonce: string;
  readonly atMs: number;
}

/**
 * One connection to every other candidate in line. The addresses come from the election alone, never from
 * whoever connects to this process.
 */
export class Peers {
  readonly #options: PeersOptions;
  readonly #links: ResourceManagerLinks;
  readonly #pongs = new Map<string, Pong>();
  #candidates: readonly Candidate[] = [];

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#links = new ResourceManagerLinks({
      context: options.context,
      dialer: options.dialer,
      logger: options.logger,
      seeds: [],
      pingIntervalMs: options.timing.peerPingMs,
      pingTimeoutMs: PING_TIMEOUT_MS,
      except: options.ownAddress,
      learnFromViews: false,
      redial: REDIAL,
      listener: {
        introduction: options.introduction,
        onClusterView: () => {},
        onRequest: (_link, request) =>
          request.fail({ code: 'INVALID', detail: 'Dial this process instead.' }),
        onNotification: () => {},
        onReached: (address, bootNonce) => options.sighted({ type: 'reached', address, bootNonce }),
        onLost: (address, bootNonce) => options.sighted({ type: 'broken', address, bootNonce }),
        onLinkDown: (link) => this.#pongs.delete(link.address),
        onDialFailed: (address, { kind }) => {
          if (kind === 'refused') options.sighted({ type: 'refused', address });
        },
        onPong: ({ address, bootNonce }, pong) => {
          this.#pongs.set(address, { bootNonce, atMs: options.clock.monotonicMs() });
          options.sighted({ type: 'answered', bootNonce, ...pong });
        },
      },
    });
  }

  /** Dials whoever is new in line and lets go of whoever has left it. */
  follow(view: ElectionView): void {
    const others = view.candidates.filter(
      (candidate) =>
        candidate.resourceManagerId !== this.#options.ownId && candidate.address !== this.#options.ownAddress,
    );
    const addresses = new Set(others.map((candidate) => candidate.address));
    for (const { address } of this.#candidates) {
      if (addresses.has(address)) continue;
      this.#links.forget(address);
      this.#pongs.delete(address);
    }
    this.#candidates = others;
    this.#links.learn([...addresses]);
  }

  /** The other candidates, in the order of the line. */
  standbys(): StandbyView[] {
    return this.#candidates.map((candidate) => {
      const { resourceManagerId, address, version } = candidate;
      const link = this.#links.links.find((each) => each.address === address);
      return {
        resourceManagerId,
        address,
        version,
        connected: link !== undefined,
        ready: this.#isReady(candidate),
      };
    });
  }

  /** Why leadership cannot be handed to that candidate; null when it can. */
  handOverProblem(to: ResourceManagerId): Problem | null {
    const conflict = (detail: string): Problem => ({ code: 'CONFLICT', detail });
    if (to === this.#options.ownId) return conflict(`${to} leads already.`);
    const standby = this.standbys().find((each) => each.resourceManagerId === to);
    if (standby === undefined) return conflict(`${to} is not in line.`);
    const candidate = this.#candidates.find((each) => each.resourceManagerId === to);
    if (candidate !== undefined && agreedVersion(candidate, OWN_VERSIONS) === null) {
      const [theirs, ours] = [describeVersions(candidate), describeVersions(OWN_VERSIONS)];
      const detail = `${to} (${candidate.version}) speaks protocol version ${theirs}, this leader ${ours}.`;
      return { code: 'UNSUPPORTED_VERSION', detail };
    }
    if (!standby.connected) return conflict(`${to} is in line, but there is no connection to it.`);
    if (!standby.ready) return conflict(`${to} is connected, but has not answered of late.`);
    return null;
  }

  /**
   * Whom to name when leadership is to go to whoever can take it: null is the next in line, and a problem says why
   * nobody can.
   */
  successor(): { readonly to: ResourceManagerId | null } | { readonly problem: Problem } {
    const problems: string[] = [];
    for (const [index, { resourceManagerId }] of this.#candidates.entries()) {
      const problem = this.handOverProblem(resourceManagerId);
      if (problem === null) return { to: index === 0 ? null : resourceManagerId };
      problems.push(problem.detail);
    }
    const why = problems.length === 0 ? 'nobody else is in line.' : problems.join(' ');
    return { problem: { code: 'CONFLICT', detail: `Nobody could take over: ${why}` } };
  }

  close(): void {
    this.#links.close();
  }

  #isReady({ address, bootNonce }: Candidate): boolean {
    const pong = this.#pongs.get(address);
    if (pong === undefined || pong.bootNonce !== bootNonce) return false;
    return this.#options.clock.monotonicMs() - pong.atMs < PING_TIMEOUT_MS;
  }
}

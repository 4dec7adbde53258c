import type { FencingToken } from '../fencing-token.ts';
import type { BootNonce, ResourceManagerId } from '../ids.ts';
import type { ProblemCode } from '../problem.ts';
import { Candidacy, type ElectionSettings } from './candidacy.ts';
import type { ElectionEffect, ElectionEvent, EndCause, LineEntry, Observation } from './election-events.ts';
import type { Identity } from './identity.ts';
import { ChallengePatience } from './challenge-patience.ts';
import { DeathEvidence } from './death-evidence.ts';
import { EtcdTrust } from './etcd-trust.ts';
import type { Instant } from './leadership-clock.ts';
import type { PeerSighting } from './peer-sighting.ts';
import type { SuccessionMemory } from './succession.ts';
import { unspokenVersion } from './unspoken-version.ts';
import type { WitnessSummary } from './worker-witnesses.ts';

/**
 * The rules of the election, without time, chance or etcd of their own: events in, effects out. Every effect of a
 * candidacy carries its number, and so does every answer, so that nothing of an old one reaches a new one.
 */
export class ElectionMachine {
  readonly #settings: ElectionSettings;
  readonly #trust = new EtcdTrust();
  #observation: Observation | null = null;
  #candidacy: Candidacy | null = null;
  #candidacies = 0;
  #started = false;
  #stopReason: string | null = null;
  #toldStopped = false;
  #notBeforeMs = -Infinity;
  #identityAsked = false;
  #identityDueMs = -Infinity;
  /** What was observed before this revision knows nothing of the identity that was created then. */
  #identityRevision = 0n;
  /** Why etcd is not taken for the one of this cluster; null while it is. */
  #contradiction: string | null = null;
  /** Until when nothing is confirmed because etcd has to be looked at first; -Infinity while it need not. */
  #doubtedUntilMs = -Infinity;
  #foreign = new Set<string>();
  /** Why it does not join the line, as people were told last. */
  #unspoken: string | null = null;
  readonly #succession: SuccessionMemory;

  /** `bootNonce` is this process's own. */
  constructor(settings: ElectionSettings, bootNonce: BootNonce) {
    this.#settings = settings;
    const evidence = new DeathEvidence(bootNonce);
    this.#succession = { evidence, patience: new ChallengePatience(), watching: false };
  }

  /** Takes one event; `nowMs` is monotonic. The effects are to be carried out in order, before the next event. */
  handle(event: ElectionEvent, nowMs: number, wallMs: number): ElectionEffect[] {
    const now: Instant = { monotonicMs: nowMs, wallMs };
    const out: ElectionEffect[] = [];
    this.#candidacy?.look(now);
    this.#apply(event, now, out);
    this.#advance(now, out);
    return out;
  }

  /** Monotonic time at which a tick is wanted; Infinity when none is. */
  nextDueMs(): number {
    if (!this.#started) return Infinity;
    if (this.#candidacy !== null) {
      const dueMs = this.#candidacy.nextDueMs();
      return this.#candidacy.leading ? dueMs : Math.max(dueMs, this.#doubtedUntilMs);
    }
    if (this.#stopReason !== null || this.#observation === null) return Infinity;
    if (this.#contradiction !== null) return Infinity;
    if (this.#trust.remembered === null) {
      return this.#identityAsked ? Infinity : Math.max(this.#identityDueMs, this.#doubtedUntilMs);
    }
    return this.#unspoken === null ? Math.max(this.#notBeforeMs, this.#doubtedUntilMs) : Infinity;
  }

  /** Whether an effect of this candidacy's term may begin in this very turn (G6). */
  mayServe(candidacy: number, nowMs: number, wallMs: number): boolean {
    const current = this.#candidacy;
    return current?.number === candidacy && current.mayServe({ monotonicMs: nowMs, wallMs });
  }

  /** Whether this candidacy leads, be it suspended or not. */
  leads(candidacy: number): boolean {
    return this.#candidacy?.number === candidacy && this.#candidacy.leading;
  }

  /** Token of the confirmed term; null when there is none. */
  get token(): FencingToken | null {
    return this.#candidacy?.token ?? null;
  }

  /** The identity that this process remembers. */
  get identity(): Identity | null {
    return this.#trust.remembered;
  }

  /** Why nothing is confirmed: etcd is not the one that this process or its workers remember; null when it is. */
  get contradiction(): string | null {
    return this.#contradiction;
  }

  /** What the workers know, held against what was seen last. */
  witnesses(nowMs: number): WitnessSummary {
    return this.#trust.summary(this.#observation, nowMs);
  }

  #apply(event: ElectionEvent, now: Instant, out: ElectionEffect[]): void {
    switch (event.type) {
      case 'start':
        this.#started = true;
        out.push({ type: 'observe', reason: 'started' });
        return;
      case 'tick':
        return;
      case 'observed':
        this.#observation = event.observation;
        if (event.observation.fall !== null) this.#identityRevision = 0n;
        this.#succession.evidence.follow(event.observation.line);
        this.#nameForeignKeys(event.observation.line, out);
        return;
      case 'peerSighted':
        this.#sighted(event.sighting, now, out);
        return;
      case 'workerHeard':
        if (event.knowledge === null) this.#trust.witnesses.left(event.worker, now.monotonicMs);
        else this.#trust.witnesses.heard(event.worker, event.knowledge, event.name);
        return;
      case 'storeDoubted':
        this.#candidacy?.doubtStore(now.monotonicMs);
        return;
      case 'identityAnswered':
        this.#identityAnswered(event.identity, event.revision, now, out);
        return;
      case 'confirmRequested':
        this.#candidacy?.confirmRequested(event.leaderSessionId, now.monotonicMs);
        return;
      case 'resignRequested':
        this.#resign(event.request, event.reason, event.to, now, out);
        return;
      case 'stopRequested':
        this.#stopReason ??= event.reason;
        this.#candidacy?.end({ reason: event.reason, evidence: 'asked to stop', asked: true }, now, out);
        return;
      default:
        if (event.candidacy !== this.#candidacy?.number) return;
        this.#candidacy.apply(event, now, out);
        if (event.type === 'candidacyFailed') this.#notBeforeMs = now.monotonicMs + this.#settings.retryMs;
    }
  }

  #advance(now: Instant, out: ElectionEffect[]): void {
    if (!this.#started && this.#stopReason === null) return;
    const observation = this.#observation;
    if (observation !== null && this.#stopReason === null) this.#judgeEtcd(observation, now, out);
    const identity = this.#doubtedUntilMs > now.monotonicMs ? null : this.#trust.remembered;
    this.#candidacy?.advance(now, observation, identity, out);
    if (this.#candidacy?.over === true) this.#candidacy = null;
    if (this.#stopReason !== null) {
      if (this.#candidacy === null && !this.#toldStopped) {
        this.#toldStopped = true;
        out.push({ type: 'stopped' });
      }
      return;
    }
    const believed = this.#contradiction === null && this.#doubtedUntilMs === -Infinity;
    const ready = observation !== null && this.#trust.remembered !== null && believed;
    if (!ready || this.#candidacy !== null || now.monotonicMs < this.#notBeforeMs) return;
    if (this.#findsUnspoken(observation.line, out)) return;
    this.#candidacies += 1;
    this.#candidacy = new Candidacy(this.#candidacies, this.#settings, this.#succession, now.monotonicMs);
    out.push({ type: 'openCandidacy', candidacy: this.#candidacies });
  }

  #sighted(sighting: PeerSighting, now: Instant, out: ElectionEffect[]): void {
    if (sighting.type === 'watching') this.#succession.watching = true;
    const misled = this.#succession.evidence.take(sighting);
    if (misled !== null) out.push({ type: 'log', level: 'error', event: misled, fields: {} });
    this.#candidacy?.sighted(sighting, now, out);
  }

  /** Nothing is confirmed, and nobody stays in line, in an etcd that is not the one of this cluster. */
  #judgeEtcd(observation: Observation, now: Instant, out: ElectionEffect[]): void {
    if (observation.identity === null && observation.identityRevision < this.#identityRevision) return;
    const verdict = this.#trust.judge(observation, now.monotonicMs);
    if (verdict.kind === 'doubted') return this.#lookAgain(now, out);
    this.#doubtedUntilMs = -Infinity;
    const before = this.#contradiction;
    this.#contradiction = verdict.kind === 'contradicts' ? verdict.why : null;
    switch (verdict.kind) {
      case 'contradicts': {
        if (before !== null) return;
        const event = 'etcd was wiped or restored: nothing is confirmed until a new generation is declared';
        out.push({ type: 'log', level: 'error', event, fields: { why: verdict.why } });
        const cause = { reason: 'etcd was wiped or restored', evidence: verdict.why, inLostEtcd: true };
        return this.#candidacy?.end(cause, now, out);
      }
      case 'unknown':
        if (this.#identityAsked || now.monotonicMs < this.#identityDueMs) return;
        this.#identityAsked = true;
        out.push({ type: 'createIdentity' });
        return;
      case 'renewed':
        return this.#renewed(verdict.before, verdict.now, now, out);
      case 'agrees':
        if (before === null) return;
        out.push({ type: 'log', level: 'warn', event: 'etcd is believed again', fields: { after: before } });
    }
  }

  /** A key keeps its place in line; only what was granted under the old generation must end. */
  #renewed(
    before: Identity | null,
    { clusterId, generation }: Identity,
    now: Instant,
    out: ElectionEffect[],
  ): void {
    const fields = {
      clusterId,
      generation,
      rememberedClusterId: before?.clusterId ?? null,
      rememberedGeneration: before?.generation ?? null,
    };
    out.push({ type: 'log', level: 'warn', event: 'a new generation was declared', fields });
    if (this.#candidacy?.granted !== true) return;
    const evidence = `identity ${clusterId}, generation ${generation}`;
    this.#candidacy.end({ reason: 'a new generation was declared', evidence }, now, out);
  }

  /** What was seen of etcd may be older than what the workers know: nothing is confirmed before it is seen anew. */
  #lookAgain(now: Instant, out: ElectionEffect[]): void {
    const first = this.#doubtedUntilMs === -Infinity;
    if (now.monotonicMs >= this.#doubtedUntilMs)
      this.#doubtedUntilMs = now.monotonicMs + this.#settings.etcdResendMs;
    if (first) out.push({ type: 'observe', reason: 'the workers know more than was seen' });
  }

  #identityAnswered(identity: Identity | null, revision: bigint, now: Instant, out: ElectionEffect[]): void {
    this.#identityAsked = false;
    this.#identityDueMs = now.monotonicMs + this.#settings.retryMs;
    if (identity !== null) {
      if (this.#trust.created(identity)) this.#identityRevision = revision;
      return;
    }
    const event = 'no identity, and none can be created: something else is under the prefix of the cluster';
    out.push({ type: 'log', level: 'error', event, fields: {} });
    out.push({ type: 'observe', reason: 'no identity' });
  }

  #resign(
    request: number,
    reason: string,
    to: ResourceManagerId | null,
    now: Instant,
    out: ElectionEffect[],
  ): void {
    const refuse = (code: ProblemCode, detail: string): void => {
      out.push({ type: 'refuseResignation', request, code, detail });
    };
    const candidacy = this.#candidacy;
    if (candidacy === null || !candidacy.leading) {
      return refuse('NOT_LEADER', 'This resource manager does not lead, so it cannot step down.');
    }
    const cause = { reason, evidence: 'asked to step down', request, asked: true };
    if (to === null) return this.#stepDown(candidacy, cause, now, out);
    const line = this.#observation?.line ?? [];
    const index = line.findIndex(
      (entry) => entry.candidate?.resourceManagerId === to && entry.key !== candidacy.key,
    );
    const successor = line[index];
    if (successor === undefined) return refuse('CONFLICT', `${to} is not in line.`);
    const ahead = line.slice(0, index).filter((entry) => entry.key !== candidacy.key);
    this.#stepDown(candidacy, { ...cause, handOver: { to: successor, ahead } }, now, out);
  }

  #stepDown(candidacy: Candidacy, cause: EndCause, now: Instant, out: ElectionEffect[]): void {
    this.#notBeforeMs = now.monotonicMs + this.#settings.rejoinMs;
    candidacy.end(cause, now, out);
  }

  /** Whether somebody in line cannot be talked to: then it does not join. People are told once. */
  #findsUnspoken(line: readonly LineEntry[], out: ElectionEffect[]): boolean {
    const unspoken = unspokenVersion(line);
    if (unspoken !== null && unspoken !== this.#unspoken) {
      const event = 'UNSUPPORTED_VERSION: does not join the line';
      out.push({ type: 'log', level: 'error', event, fields: { detail: unspoken } });
    }
    this.#unspoken = unspoken;
    return unspoken !== null;
  }

  /** They stand in line like any other key, so that etcd's order goes on to rule; people are told of them once. */
  #nameForeignKeys(line: readonly LineEntry[], out: ElectionEffect[]): void {
    const foreign = new Set<string>();
    for (const { key, createRevision, candidate } of line) {
      if (candidate !== null) continue;
      const name = `${key}@${createRevision}`;
      foreign.add(name);
      if (this.#foreign.has(name)) continue;
      const event = "a foreign key stands in line: its value is no candidate's";
      out.push({ type: 'log', level: 'error', event, fields: { key, createRevision } });
    }
    this.#foreign = foreign;
  }
}

import { type CandidateProcess, candidateName, isWrite, nonceOf, startCandidate } from './candidate.ts';
import type { CandidateTurn } from './candidate-turn.ts';
import type { Call, StoreRequest } from './election-calls.ts';
import { ElectionEngine } from './election-engine.ts';
import { type ElectionMachines, ELECTION_SETTINGS } from './election-machines.ts';
import { type ElectionBounds, type ElectionWorld, FAULTS, isCut, runs, use } from './election-world.ts';
import type { Model, Step } from './explore.ts';
import { startStore, type StoreProcess, storeTicks } from './store-process.ts';

const STEP_MS = ELECTION_SETTINGS.leadershipCheckMs;
const START_MS = 1_000_000;
/** Time steps in which, without faults, somebody must lead. */
const FAIR_STEPS = 80;

/** Candidates of one cluster over one store. */
export class ElectionModel implements Model<ElectionWorld> {
  readonly #machines: ElectionMachines;
  readonly #bounds: ElectionBounds;
  readonly #engine: ElectionEngine;
  readonly #fair = new Map<string, string | null>();

  constructor(machines: ElectionMachines, bounds: ElectionBounds) {
    this.#machines = machines;
    this.#bounds = bounds;
    this.#engine = new ElectionEngine(machines);
  }

  /** Nobody has joined yet; or all are in line, and the first one is about to confirm, or leads. */
  initial(): ElectionWorld {
    const { candidates, from, readsAhead } = this.#bounds;
    const processes = Array.from({ length: candidates }, (_, index) =>
      this.#engine.processes.add(startCandidate(this.#machines, index, readsAhead)),
    );
    let world: ElectionWorld = {
      nowMs: START_MS,
      processes,
      store: this.#engine.processes.add(startStore(this.#machines)),
      up: processes.map(() => 'running' as const),
      inboxes: processes.map(() => []),
      news: [],
      held: [],
      left: Object.fromEntries(FAULTS.map((fault) => [fault, this.#bounds[fault]])) as ElectionWorld['left'],
    };
    for (let index = 0; index < candidates; index += 1) {
      const start = (turn: CandidateTurn): void => {
        turn.handle({ type: 'start' });
        turn.handle({ type: 'peerSighted', sighting: { type: 'watching' } });
      };
      world = this.#engine.act(world, index, 'start', start).state;
      if (from !== 'nothing') world = this.#settle(world, from === 'line');
    }
    for (let step = 0; from !== 'nothing' && step < 2; step += 1) {
      world = this.#settle(this.#pass(world).state, from === 'line');
    }
    return { ...world, left: { ...world.left, timeSteps: this.#bounds.timeSteps } };
  }

  key(world: ElectionWorld): string {
    const { nowMs, processes, store, up, inboxes, news, held } = world;
    const left = FAULTS.map((fault) => world.left[fault]).join('.');
    const boxes = inboxes.map((box) => box.join('+')).join('/');
    return `${nowMs}|${processes.join()}|${store}|${up.join()}|${boxes}|${news.join()}|${held.join()}|${left}`;
  }

  *steps(world: ElectionWorld): Generator<Step<ElectionWorld>> {
    const { left } = world;
    for (const [index, up] of world.up.entries()) {
      const name = candidateName(index);
      const process = this.#engine.candidate(world, index);
      for (const at of process.orphans.keys()) yield this.#orphan(world, index, at);
      if (up === 'crashed') continue;
      for (const call of isCut(up) ? [] : process.calls) {
        if (call.lost) continue;
        yield this.#engine.serve(world, index, call);
        if (left.lostAnswers > 0) yield this.#engine.serve(use(world, 'lostAnswers'), index, call, true);
        if (left.held > 0 && isWrite(call.request)) yield this.#hold(use(world, 'held'), index, call);
      }
      if (up === 'paused') {
        yield { label: `${name} runs again, its timers first`, ...this.#engine.resume(world, index, true) };
        yield { label: `${name} runs again, its mail first`, ...this.#engine.resume(world, index, false) };
        continue;
      }
      if (this.#engine.hasNews(world, index)) yield this.#engine.observe(world, index);
      if (left.writes > 0 && process.leads !== null) {
        const wrote = this.#engine.act(use(world, 'writes'), index, 'write', (turn) => turn.writeRecord());
        yield { ...wrote, label: `${name} writes a record` };
      }
      if (left.resignations > 0 && process.leads !== null) {
        const asked = this.#engine.act(use(world, 'resignations'), index, 'resign', (turn) => turn.resign());
        yield { ...asked, label: `${name} is asked to go` };
      }
      if (left.crashes > 0) yield this.#crash(use(world, 'crashes'), index);
      if (left.pauses > 0) {
        yield {
          label: `${name} is paused`,
          state: this.#engine.setUp(use(world, 'pauses'), index, 'paused'),
        };
      }
      if (isCut(up))
        yield { label: `${name} reaches etcd again`, state: this.#engine.reconnect(world, index) };
      else if (left.cuts > 0) {
        yield {
          label: `${name} is cut off from etcd`,
          state: this.#engine.setUp(use(world, 'cuts'), index, 'cut'),
        };
      }
      if (!isCut(up) && left.isolations > 0) {
        const state = this.#engine.setUp(use(world, 'isolations'), index, 'isolated');
        yield { label: `${name} is cut off from everybody`, state };
      }
    }
    for (const [at] of world.news.entries()) {
      const told = this.#tell(world, at);
      if (told !== null) yield told;
    }
    for (const at of world.held.keys()) {
      const request = this.#engine.processes.message(world.held[at] ?? -1) as StoreRequest;
      const rest = { ...world, held: world.held.filter((_, index) => index !== at) };
      const { state, violation } = this.#engine.carryOut(rest, request);
      yield { label: 'etcd carries out a transaction that it had held back', state, violation };
    }
    if (left.timeSteps > 0 && this.#quiet(world)) yield this.#pass(world);
  }

  violation(world: ElectionWorld): string | null {
    const highest = this.#engine.store(world).confirmed?.epoch ?? 0n;
    for (const index of world.processes.keys()) {
      const epoch = this.#engine.serving(world, index);
      if (epoch !== null && epoch < highest) {
        return `G6: ${candidateName(index)} serves in epoch ${epoch} after epoch ${highest} was confirmed`;
      }
    }
    return null;
  }

  unfinished(world: ElectionWorld): string | null {
    let state: ElectionWorld = { ...world, held: [] };
    const passed: string[] = [];
    let verdict: string | null = `no leader ${(FAIR_STEPS * STEP_MS) / 1_000} s after the last fault`;
    for (let step = 0; step < FAIR_STEPS; step += 1) {
      for (const [index, up] of state.up.entries()) {
        if (isCut(up)) state = this.#engine.reconnect(state, index);
        if (up === 'paused') ({ state } = this.#engine.resume(state, index, true));
      }
      state = this.#settle(state);
      const key = this.key(state);
      const known = this.#fair.get(key);
      if (known !== undefined) {
        verdict = known;
        break;
      }
      passed.push(key);
      verdict = this.violation(state);
      if (verdict !== null) break;
      const serving = [...state.processes.keys()].filter(
        (index) => this.#engine.serving(state, index) !== null,
      );
      if (serving.length === 1 && !state.up.every((up) => up === 'crashed')) break;
      if (state.up.every((up) => up === 'crashed')) break;
      verdict = `no leader ${(FAIR_STEPS * STEP_MS) / 1_000} s after the last fault`;
      state = this.#pass({ ...state, left: { ...state.left, timeSteps: 1 } }).state;
    }
    for (const key of passed) this.#fair.set(key, verdict);
    return verdict;
  }

  #hold(world: ElectionWorld, index: number, call: Call): Step<ElectionWorld> {
    const held = [...world.held, this.#engine.processes.addMessage(call.request)].sort((a, b) => a - b);
    const label = `etcd holds back ${call.purpose.kind} of ${candidateName(index)}`;
    return { label, state: this.#engine.setLost({ ...world, held }, index, call) };
  }

  #orphan(world: ElectionWorld, index: number, at: number): Step<ElectionWorld> {
    const request = this.#engine.candidate(world, index).orphans[at];
    if (request === undefined) throw new Error('no such orphan');
    const rest = this.#engine.act(world, index, `orphan ${at}`, (_turn, process) => {
      process.orphans = process.orphans.filter((_, other) => other !== at);
    }).state;
    const { state, violation } = this.#engine.carryOut(rest, request);
    return {
      label: `etcd carries out what ${candidateName(index)} had sent before it gave up`,
      state,
      violation,
    };
  }

  #crash(world: ElectionWorld, index: number): Step<ElectionWorld> {
    const others = [...world.processes.keys()].filter(
      (other) => world.up[other] !== 'crashed' && other !== index,
    );
    const news = [...world.news, ...others.map((other) => `${other}:${index}`)].sort();
    const orphans = this.#engine
      .candidate(world, index)
      .calls.filter(({ request, lost }) => !lost && isWrite(request));
    const state = this.#engine.act(world, index, 'crash', (_turn, process) => {
      process.orphans = [...process.orphans, ...orphans.map(({ request }) => request)];
      process.calls = [];
    }).state;
    const inboxes = state.inboxes.map((box, at) => (at === index ? [] : box));
    return {
      label: `${candidateName(index)} crashes`,
      state: this.#engine.setUp({ ...state, news, inboxes }, index, 'crashed'),
    };
  }

  /** A candidate learns that the connection to a crashed one broke and that its address refuses. */
  #tell(world: ElectionWorld, at: number): Step<ElectionWorld> | null {
    const [who = 0, about = 0] = (world.news[at] ?? '').split(':').map(Number);
    if (world.up[who] === 'paused' || world.up[who] === 'crashed') return null;
    const rest = { ...world, news: world.news.filter((_, index) => index !== at) };
    const address = `${candidateName(about)}:1`;
    const { state, violation } = this.#engine.act(rest, who, `end of ${about}`, (turn, process) => {
      if (!process.reached.includes(nonceOf(about))) return;
      process.reached = process.reached.filter((nonce) => nonce !== nonceOf(about));
      turn.handle({ type: 'peerSighted', sighting: { type: 'broken', address, bootNonce: nonceOf(about) } });
      turn.handle({ type: 'peerSighted', sighting: { type: 'refused', address } });
    });
    return {
      label: `${candidateName(who)} is refused at the address of ${candidateName(about)}`,
      state,
      violation,
    };
  }

  /** Time passes for everybody; whoever runs looks at it whenever something of his is due. */
  #pass(world: ElectionWorld): Step<ElectionWorld> {
    const endMs = world.nowMs + STEP_MS;
    let state = use(world, 'timeSteps');
    let violation: string | null = null;
    const act = (
      index: number,
      what: string,
      atMs: number,
      take: (turn: CandidateTurn, process: CandidateProcess) => void,
    ): void => {
      const done = this.#engine.act({ ...state, nowMs: atMs }, index, what, take);
      state = { ...done.state, nowMs: world.nowMs };
      violation ??= done.violation;
    };
    for (const index of world.processes.keys()) {
      if (!runs(world, index)) continue;
      act(index, 'resend', world.nowMs, (_turn, process) => {
        process.orphans = [];
      });
      for (let atMs = world.nowMs; ; ) {
        const dueMs = Math.max(atMs + 1, this.#engine.candidate(state, index).machine.nextDueMs());
        if (dueMs > endMs) break;
        atMs = dueMs;
        act(index, 'tick', atMs, (turn) => turn.handle({ type: 'tick' }));
      }
      act(index, 'copies', endMs, (turn, process) => resend(turn, process, endMs));
    }
    const taken = this.#engine.processes.turn(state.store, `tick@${endMs}`, (store, turn) =>
      storeTicks(this.#machines, store as StoreProcess, endMs, turn.notes),
    );
    state = { ...state, store: taken.id, nowMs: endMs };
    for (const index of world.processes.keys()) {
      for (const other of world.processes.keys()) {
        if (index === other || !runs(state, index) || !runs(state, other)) continue;
        if (state.up[index] === 'isolated' || state.up[other] === 'isolated') continue;
        const done = this.#ping(state, index, other);
        ({ state } = done);
        violation ??= done.violation;
      }
    }
    return { label: `${STEP_MS} ms pass`, state, violation };
  }

  /** A candidate hears what another one answers to its ping. */
  #ping(
    world: ElectionWorld,
    index: number,
    other: number,
  ): { readonly state: ElectionWorld; readonly violation: string | null } {
    const bootNonce = nonceOf(other);
    const leads = this.#engine.candidate(world, other).leads;
    const serving = this.#engine.serving(world, other) !== null;
    const answer =
      leads === null
        ? ({ state: 'standby', epoch: null } as const)
        : ({ state: serving ? 'serving' : 'suspended', epoch: leads.token.epoch } as const);
    const inLine = this.#engine
      .candidate(world, index)
      .seen.includes(this.#engine.candidate(world, other).session?.key ?? '-');
    const what = `ping ${other} ${answer.state} ${answer.epoch} ${inLine}`;
    return this.#engine.act(world, index, what, (turn, process) => {
      if (!process.reached.includes(bootNonce)) {
        if (!inLine) return;
        process.reached = [...process.reached, bootNonce].sort();
        const address = `${candidateName(other)}:1`;
        turn.handle({ type: 'peerSighted', sighting: { type: 'reached', address, bootNonce } });
      }
      turn.handle({ type: 'peerSighted', sighting: { type: 'answered', bootNonce, ...answer } });
    });
  }

  /** Everything that is under way comes to its end, in a fixed order, without time passing. */
  #settle(world: ElectionWorld, beforeConfirm = false): ElectionWorld {
    let state = world;
    for (let turns = 0; turns < 10_000; turns += 1) {
      const next = this.#nextInOrder(state, beforeConfirm);
      if (next === null) return state;
      ({ state } = next);
    }
    throw new Error('calls without end');
  }

  #nextInOrder(world: ElectionWorld, beforeConfirm = false): Step<ElectionWorld> | null {
    for (const [index, up] of world.up.entries()) {
      if (up === 'crashed' || isCut(up)) continue;
      const { calls } = this.#engine.candidate(world, index);
      const call = calls.find(({ lost, purpose }) => !lost && !(beforeConfirm && purpose.kind === 'rows'));
      if (call !== undefined) return this.#engine.serve(world, index, call);
      if (up === 'running' && this.#engine.hasNews(world, index)) return this.#engine.observe(world, index);
    }
    for (const at of world.news.keys()) {
      const told = this.#tell(world, at);
      if (told !== null) return told;
    }
    return null;
  }

  /** Nothing is under way that does not need time. */
  #quiet(world: ElectionWorld): boolean {
    return this.#nextInOrder(world) === null;
  }
}

/** Copies that nothing answers are sent again; what is sent once has failed after its time. */
function resend(turn: CandidateTurn, process: CandidateProcess, nowMs: number): void {
  const { etcdResendMs, etcdCallMs } = ELECTION_SETTINGS;
  for (const call of process.calls) {
    if (call.once && nowMs - call.sentMs >= etcdCallMs) turn.failed(call);
  }
  process.calls = process.calls.map((call) => {
    if (call.once || nowMs - call.sentMs < etcdResendMs) return call;
    return { ...call, lost: false, sentMs: nowMs - ((nowMs - call.sentMs) % etcdResendMs) };
  });
}

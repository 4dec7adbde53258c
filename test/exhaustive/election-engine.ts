import { type CandidateProcess, candidateName } from './candidate.ts';
import { CandidateTurn } from './candidate-turn.ts';
import type { Call, StoreAnswer, StoreRequest } from './election-calls.ts';
import { ELECTION_CONSTANTS, type ElectionMachines } from './election-machines.ts';
import type { ElectionWorld } from './election-world.ts';
import { runs } from './election-world.ts';
import type { Step } from './explore.ts';
import { Processes } from './processes.ts';
import { observationOf, type StoreProcess, storeTakes } from './store-process.ts';

/** Candidates and their store, without any choice of what happens next. */
export class ElectionEngine {
  readonly processes = new Processes<CandidateProcess | StoreProcess, object>(ELECTION_CONSTANTS);
  readonly #machines: ElectionMachines;

  constructor(machines: ElectionMachines) {
    this.#machines = machines;
  }

  /** The store carries a request out. */
  carryOut(
    world: ElectionWorld,
    request: StoreRequest,
  ): { readonly state: ElectionWorld; readonly violation: string | null; readonly answer: StoreAnswer } {
    const message = this.processes.addMessage(request);
    const taken = this.processes.turn(world.store, `${message}@${world.nowMs}`, (store, turn) => {
      const answer = storeTakes(this.#machines, store as StoreProcess, request, world.nowMs, turn.notes);
      turn.sent.push({ to: '', message: answer });
    });
    const answer = this.processes.message(taken.sent[0]?.message ?? -1) as StoreAnswer;
    return { state: { ...world, store: taken.id }, violation: taken.notes[0] ?? null, answer };
  }

  /** An answer of the store arrives. */
  hear(
    world: ElectionWorld,
    index: number,
    message: number,
  ): { readonly state: ElectionWorld; readonly violation: string | null } {
    const { call: id, answer } = this.processes.message(message) as { call: number; answer: StoreAnswer };
    return this.act(world, index, `hear ${message} ${world.store}`, (turn, process) => {
      const call = process.calls.find((each) => each.id === id);
      if (call === undefined) return;
      turn.answered(call, answer, () => {
        const { observation, text, identityValue } = observationOf(this.#machines, this.store(world));
        turn.seesLine(this.store(world), true);
        turn.observed(observation, text, identityValue);
      });
    });
  }

  /** Nothing will answer the copy of that call that was sent last. */
  setLost(world: ElectionWorld, index: number, { id }: Call): ElectionWorld {
    return this.act(world, index, `lost ${id}`, (_turn, process) => {
      process.calls = process.calls.map((call) => (call.id === id ? { ...call, lost: true } : call));
    }).state;
  }

  /** A watch tells what stands in the election now. */
  observe(world: ElectionWorld, index: number): Step<ElectionWorld> {
    const seen = observationOf(this.#machines, this.store(world));
    const { state, violation } = this.act(world, index, `watch ${world.store}`, (turn) => {
      turn.seesLine(this.store(world), false);
      turn.observed(seen.observation, seen.text, seen.identityValue);
    });
    return { label: `${candidateName(index)} hears from its watch`, state, violation };
  }

  /** Nothing of what was sent meanwhile has arrived; copies will be sent. */
  reconnect(world: ElectionWorld, index: number): ElectionWorld {
    const { state } = this.act(world, index, 'reconnect', (_turn, process) => {
      process.calls = process.calls.map((call) => ({ ...call, lost: true }));
    });
    return this.setUp(state, index, 'running');
  }

  /** Whether its watch has something to tell. */
  hasNews(world: ElectionWorld, index: number): boolean {
    if (world.up[index] !== 'running') return false;
    const { seen, calls } = this.candidate(world, index);
    // While it lists anew its watch is closed.
    return seen !== this.store(world).observed.text && !calls.some(({ purpose }) => purpose.kind === 'list');
  }

  /** The epoch in which that process may begin an effect at this moment; null when it may not. */
  serving(world: ElectionWorld, index: number): bigint | null {
    if (!runs(world, index)) return null;
    const id = world.processes[index] ?? -1;
    if (this.candidate(world, index).leads === null) return null;
    const { notes } = this.processes.turn(id, `serves@${world.nowMs}`, (process, turn) => {
      const { leads, machine } = process as CandidateProcess;
      if (leads === null || !machine.mayServe(leads.candidacy, world.nowMs, world.nowMs)) return;
      turn.notes.push(`${leads.token.epoch}`);
    });
    return notes[0] === undefined ? null : BigInt(notes[0]);
  }

  /** One candidate takes a turn. */
  act(
    world: ElectionWorld,
    index: number,
    what: string,
    take: (turn: CandidateTurn, process: CandidateProcess) => void,
  ): { readonly state: ElectionWorld; readonly violation: string | null } {
    const id = world.processes[index] ?? -1;
    const taken = this.processes.turn(id, `${what}@${world.nowMs}`, (process, turn) => {
      const candidate = process as CandidateProcess;
      take(new CandidateTurn(this.#machines, candidate, world.nowMs, turn.notes), candidate);
    });
    const processes = world.processes.map((each, at) => (at === index ? taken.id : each));
    const state = { ...world, processes };
    return { state, violation: this.#judge(state, taken.notes) };
  }

  #judge(world: ElectionWorld, notes: readonly string[]): string | null {
    for (const note of notes) {
      if (note.startsWith('granted twice')) return `G5: leadership was ${note}`;
      const [, epoch, session] = /^confirmed (\d+) (\S+)$/.exec(note) ?? [];
      if (epoch === undefined) continue;
      const { confirmed } = this.store(world);
      const known = confirmed !== null && (confirmed.epoch > BigInt(epoch) || confirmed.session === session);
      if (!known)
        return `G5: ${session} takes itself for confirmed in epoch ${epoch}, and no confirm of it has committed`;
    }
    return null;
  }

  /** Whether it runs, and whom it reaches. */
  setUp(world: ElectionWorld, index: number, to: ElectionWorld['up'][number]): ElectionWorld {
    return { ...world, up: world.up.map((up, at) => (at === index ? to : up)) };
  }

  /** As it is now; not to be changed. */
  candidate(world: ElectionWorld, index: number): CandidateProcess {
    return this.processes.state(world.processes[index] ?? -1) as CandidateProcess;
  }

  /** As it is now; not to be changed. */
  store(world: ElectionWorld): StoreProcess {
    return this.processes.state(world.store) as StoreProcess;
  }

  /** The store carries a call out, and its caller hears of it at once unless the answer is lost. */
  serve(world: ElectionWorld, index: number, call: Call, lost = false): Step<ElectionWorld> {
    const done = this.carryOut(world, call.request);
    const label = `etcd carries out ${call.purpose.kind} of ${candidateName(index)}${lost ? ', the answer is lost' : ''}`;
    if (lost) return { ...done, label, state: this.setLost(done.state, index, call) };
    const answer = this.processes.addMessage({ call: call.id, answer: done.answer });
    if (world.up[index] === 'paused') {
      const inboxes = done.state.inboxes.map((box, at) => (at === index ? [...box, answer] : box));
      // It is not sent again, and not carried out again: the answer is on its way.
      return { ...done, label, state: this.setLost({ ...done.state, inboxes }, index, call) };
    }
    const heard = this.hear(done.state, index, answer);
    return { label, state: heard.state, violation: done.violation ?? heard.violation };
  }

  /** A paused one runs again and finds its mail. */
  resume(
    world: ElectionWorld,
    index: number,
    timersFirst: boolean,
  ): { readonly state: ElectionWorld; readonly violation: string | null } {
    const inboxes = world.inboxes.map((box, at) => (at === index ? [] : box));
    let state = this.setUp({ ...world, inboxes }, index, 'running');
    let violation: string | null = null;
    const tick = (): void => {
      const done = this.act(state, index, 'tick', (turn) => turn.handle({ type: 'tick' }));
      ({ state } = done);
      violation ??= done.violation;
    };
    if (timersFirst) tick();
    for (const message of world.inboxes[index] ?? []) {
      const done = this.hear(state, index, message);
      ({ state } = done);
      violation ??= done.violation;
    }
    if (!timersFirst) tick();
    return { state, violation };
  }
}

import { type Constants, copyGraph, describeGraph } from './state-graph.ts';

/** What one process does in one turn: messages, by whom they are for, and whatever else the model wants to know. */
export interface Turn<Message> {
  readonly sent: { readonly to: string; readonly message: Message }[];
  readonly notes: string[];
}

/** A turn that was taken: which state the process is in now, and what it did. */
export interface Taken {
  readonly id: number;
  readonly sent: readonly { readonly to: string; readonly message: number }[];
  readonly notes: readonly string[];
}

/**
 * Every state that any process has ever been in, each once and never changed, and every message. A turn of a process
 * in one state with one input is the same wherever it occurs, so it is computed once.
 */
export class Processes<Process extends object, Message extends object> {
  readonly #constants: Constants;
  readonly #states: Process[] = [];
  readonly #stateIds = new Map<string, number>();
  readonly #messages: Message[] = [];
  readonly #messageIds = new Map<string, number>();
  readonly #turns = new Map<string, Taken>();

  constructor(constants: Constants) {
    this.#constants = constants;
  }

  get distinctStates(): number {
    return this.#states.length;
  }

  add(process: Process): number {
    return intern(process, this.#stateIds, this.#states, this.#constants);
  }

  /** Not to be changed. */
  state(id: number): Process {
    const state = this.#states[id];
    if (state === undefined) throw new Error(`no process state ${id}`);
    return state;
  }

  addMessage(message: Message): number {
    return intern(message, this.#messageIds, this.#messages, this.#constants);
  }

  message(id: number): Message {
    const message = this.#messages[id];
    if (message === undefined) throw new Error(`no message ${id}`);
    return message;
  }

  /** Lets a copy of the process take that turn; `name` must tell one input from every other. */
  turn(id: number, name: string, take: (process: Process, turn: Turn<Message>) => void): Taken {
    const key = `${id}|${name}`;
    const known = this.#turns.get(key);
    if (known !== undefined) return known;
    const process = copyGraph(this.state(id), this.#constants);
    const turn: Turn<Message> = { sent: [], notes: [] };
    take(process, turn);
    const taken = {
      id: this.add(process),
      sent: turn.sent.map(({ to, message }) => ({ to, message: this.addMessage(message) })),
      notes: turn.notes,
    };
    this.#turns.set(key, taken);
    return taken;
  }
}

function intern<T extends object>(
  value: T,
  ids: Map<string, number>,
  all: T[],
  constants: Constants,
): number {
  const text = describeGraph(value, constants);
  const known = ids.get(text);
  if (known !== undefined) return known;
  const id = all.length;
  ids.set(text, id);
  all.push(value);
  return id;
}

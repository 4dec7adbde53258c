/** One way on from a state; `violation` names what must never happen and has, in this very step. */
export interface Step<State> {
  readonly label: string;
  readonly state: State;
  readonly violation?: string | null;
}

/** What is explored. Two states with one key behave alike. */
export interface Model<State> {
  initial(): State;
  key(state: State): string;
  /** Every step that is possible, in a fixed order. */
  steps(state: State): Iterable<Step<State>>;
  /** What must never be so and is; null when all is well. */
  violation(state: State): string | null;
  /** Why all does not come right when no fault happens any more; asked where no step is left. */
  unfinished(state: State): string | null;
}

export interface Exploration {
  readonly states: number;
  readonly transitions: number;
  /** Steps on the shortest way to the state that is farthest away. */
  readonly depth: number;
  /** States in which every bound is used up, from each of which a fair run came right. */
  readonly ends: number;
  /** The shortest way to what must not be; null when there is none. */
  readonly counterexample: { readonly what: string; readonly path: readonly string[] } | null;
}

/**
 * Goes through every reachable state, breadth first, each once; ends at the first violation, which is then as short as
 * can be. Throws when there are more than `mostStates`: an exploration that was cut off would prove nothing.
 */
export function explore<State>(model: Model<State>, mostStates: number): Exploration {
  const numbers = new Map<string, number>();
  const parents: number[] = [];
  const labels: string[] = [];
  const labelTexts = new Map<string, string>();
  let transitions = 0;
  let ends = 0;
  let depth = 0;
  const pathTo = (number: number): string[] => {
    const path: string[] = [];
    for (let at = number; at > 0; at = parents[at] ?? 0) path.push(labels[at] ?? '');
    return path.reverse();
  };
  const result = (what: string | null, path: readonly string[]): Exploration => ({
    states: numbers.size,
    transitions,
    depth,
    ends,
    counterexample: what === null ? null : { what, path },
  });
  const enter = (state: State, parent: number, label: string): number | null => {
    const key = model.key(state);
    if (numbers.has(key)) return null;
    const number = parents.length;
    if (number >= mostStates) throw new Error(`more than ${mostStates} states: the bounds are too wide`);
    numbers.set(key, number);
    parents.push(parent);
    const text = labelTexts.get(label) ?? label;
    labelTexts.set(text, text);
    labels.push(text);
    return number;
  };
  const first = model.initial();
  enter(first, 0, '');
  const wrong = model.violation(first);
  if (wrong !== null) return result(wrong, []);
  let layer: { state: State; number: number }[] = [{ state: first, number: 0 }];
  for (let distance = 0; layer.length > 0; distance += 1) {
    depth = distance;
    const next: typeof layer = [];
    for (const { state, number } of layer) {
      let steps = 0;
      for (const step of model.steps(state)) {
        steps += 1;
        transitions += 1;
        const path = (): string[] => [...pathTo(number), step.label];
        if (step.violation !== undefined && step.violation !== null) return result(step.violation, path());
        const entered = enter(step.state, number, step.label);
        if (entered === null) continue;
        const what = model.violation(step.state);
        if (what !== null) return result(what, path());
        next.push({ state: step.state, number: entered });
      }
      if (steps > 0) continue;
      ends += 1;
      const what = model.unfinished(state);
      if (what !== null) return result(what, pathTo(number));
    }
    layer = next;
  }
  return result(null, []);
}

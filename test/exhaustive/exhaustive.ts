import { cpus } from 'node:os';
import { loadElectionMachines } from './election-machines.ts';
import { ElectionModel } from './election-model.ts';
import { LARGE_ELECTION_WORLDS, SMALL_ELECTION_WORLDS } from './election-worlds.ts';
import { type Exploration, explore, type Model } from './explore.ts';
import { loadSlotMachines } from './slot-machines.ts';
import { SlotModel } from './slot-model.ts';
import { LARGE_SLOT_WORLDS, SMALL_SLOT_WORLDS } from './slot-worlds.ts';

const MOST_STATES = 6_000_000;

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}

interface Subject {
  readonly name: string;
  readonly bounds: object;
  readonly model: () => Model<unknown>;
}

function report({ name, bounds }: Subject, found: Exploration, seconds: number): void {
  const { states, transitions, depth, ends, counterexample } = found;
  write(
    `${name}: ${states} states, ${transitions} transitions, depth ${depth}, ${ends} ends, ${seconds.toFixed(1)} s of CPU`,
  );
  write(`  bounds ${JSON.stringify(bounds)}`);
  if (counterexample === null) return;
  write(`  VIOLATION: ${counterexample.what}`);
  counterexample.path.forEach((step, index) => write(`  ${String(index + 1).padStart(3)}. ${step}`));
}

/** Explores every world, or those whose name holds `WORLD`; exit code 1 when anything was found. */
async function main(): Promise<number> {
  const electionMachines = await loadElectionMachines();
  const slotMachines = await loadSlotMachines();
  const elections = [...SMALL_ELECTION_WORLDS, ...LARGE_ELECTION_WORLDS];
  const slots = [...SMALL_SLOT_WORLDS, ...LARGE_SLOT_WORLDS];
  const subjects: Subject[] = [
    ...elections.map(({ name, bounds }) => ({
      name: `election, ${name}`,
      bounds,
      model: () => new ElectionModel(electionMachines, bounds) as Model<unknown>,
    })),
    ...slots.map(({ name, bounds }) => ({
      name: `slots, ${name}`,
      bounds,
      model: () => new SlotModel(slotMachines, bounds) as Model<unknown>,
    })),
  ];
  const wanted = process.env['WORLD'] ?? '';
  const chosen = subjects.filter(({ name }) => name.includes(wanted));
  if (chosen.length === 0) {
    throw new Error(
      `No world is named ${wanted}: there are ${subjects.map(({ name }) => `"${name}"`).join(', ')}.`,
    );
  }
  write(`Node ${process.version}, ${cpus()[0]?.model ?? 'unknown processor'}`);
  let violations = 0;
  let states = 0;
  let transitions = 0;
  for (const subject of chosen) {
    const beforeMicros = process.cpuUsage().user;
    const found = explore(subject.model(), MOST_STATES);
    report(subject, found, (process.cpuUsage().user - beforeMicros) / 1e6);
    states += found.states;
    transitions += found.transitions;
    violations += found.counterexample === null ? 0 : 1;
  }
  write(`${chosen.length} worlds, ${states} states, ${transitions} transitions, ${violations} violations`);
  return violations === 0 ? 0 : 1;
}

process.exitCode = await main();

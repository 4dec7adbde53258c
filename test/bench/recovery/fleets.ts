import { benchProgram, type BenchCluster } from '../cluster/bench-cluster.ts';

interface Registered {
  readonly token: string;
  readonly count: number;
  readonly firstWallMs: number;
  readonly lastWallMs: number;
}

/** How many of these may be in one process: each has a connection to every resource manager. */
const MOST_IN_ONE = 4_000;

/** Task executors by the thousand, in few processes, and how many of them a leader has acknowledged. */
export class Fleets {
  readonly #wanted: number;
  readonly #registered = new Map<string, Registered>();

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  /** Starts the processes; their task executors follow, `perSecond` in all. */
  start(cluster: BenchCluster, slots: number, perSecond: number): void {
    const fleets = Math.ceil(this.#wanted / MOST_IN_ONE);
    for (let fleet = 0; fleet < fleets; fleet += 1) {
      const count = Math.floor((this.#wanted + fleet) / fleets);
      const args = [cluster.addresses.join(','), fleet, count, slots, perSecond / fleets].map(String);
      const name = `fleet-${fleet}`;
      const program = new URL('./fleet.js', import.meta.url);
      cluster.run(benchProgram(program, name, cluster.folder, args, (line) => this.#take(name, line)));
    }
  }

  /** How many have registered under a token of this epoch, and the times of the first and the last. */
  registeredUnder(epoch: bigint): {
    readonly count: number;
    readonly firstWallMs: number;
    readonly lastWallMs: number;
  } {
    const own = [...this.#registered.values()].filter(({ token }) => token.endsWith(`-${epoch}`));
    return {
      count: own.reduce((sum, { count }) => sum + count, 0),
      firstWallMs: Math.min(...own.map(({ firstWallMs }) => firstWallMs)),
      lastWallMs: Math.max(...own.map(({ lastWallMs }) => lastWallMs)),
    };
  }

  #take(name: string, line: string): void {
    const [, token = '', count, first, last] = line.split(' ');
    this.#registered.set(name, {
      token,
      count: Number(count),
      firstWallMs: Number(first),
      lastWallMs: Number(last),
    });
  }
}

import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { QuartermasterError } from '../../core/problem.ts';
import { SystemRandomness } from '../../runtime/system-randomness.ts';
import { isFree } from './free-ports.ts';
import { makeFolder, readPlan } from './kept-plan.ts';

const port = z.int().min(1).max(65_535);
const schema = z.object({
  token: z.string().min(1),
  ports: z.array(z.object({ client: port, peer: port })),
});

/** Resolves to that many loopback ports that are free at the moment. */
export type PortChooser = (count: number) => Promise<number[]>;

/** What the members of one cluster must agree on, and keep with their data. */
export interface EtcdPlan {
  /** Part of the members' names: tells our own members from whoever else may listen on a port. */
  readonly token: string;
  readonly ports: readonly { readonly client: number; readonly peer: number }[];
  /** Made just now, so that nobody depends on these ports yet. */
  readonly fresh: boolean;
}

const PLAN_FILE = 'quartermaster-etcd.json';

/** A plan for that many members on free ports. */
export async function newPlan(count: number, choosePorts: PortChooser): Promise<EtcdPlan> {
  const numbers = await choosePorts(2 * count);
  const ports = numbers.slice(0, count).map((client, i) => ({ client, peer: numbers[count + i] ?? 0 }));
  return { token: new SystemRandomness().uuid().slice(0, 8), ports, fresh: true };
}

/** The plan of this data directory; a new one, kept there, the first time. `CONFLICT` when it is for another number. */
export async function keptPlan(folder: string, count: number, choosePorts: PortChooser): Promise<EtcdPlan> {
  const file = join(folder, PLAN_FILE);
  const kept = await readPlan(file, schema);
  if (kept === null) {
    const plan = await newPlan(count, choosePorts);
    await makeFolder(folder);
    await writeFile(file, JSON.stringify(plan));
    return plan;
  }
  if (kept.ports.length === count) return { ...kept, fresh: false };
  throw new QuartermasterError({
    code: 'CONFLICT',
    detail: `${folder} holds an etcd of ${kept.ports.length}, not of ${count}: choose another data directory.`,
  });
}

/** Removes a plan that came to nothing, with what the members wrote under it. */
export async function discardPlan(folder: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (entry !== PLAN_FILE && !/^member-\d+$/.test(entry)) continue;
    await rm(join(folder, entry), { recursive: true, force: true });
  }
}

/** Says which port of the plan is held by somebody else. */
export async function portTaken(folder: string, plan: EtcdPlan, cause: unknown): Promise<QuartermasterError> {
  const taken: number[] = [];
  for (const port of plan.ports.flatMap(({ client, peer }) => [client, peer])) {
    if (!(await isFree(port))) taken.push(port);
  }
  const detail = `The etcd in ${folder} cannot start, as another process holds its port ${taken.join(', ')}.`;
  return new QuartermasterError({ code: 'CONFLICT', detail }, { cause });
}

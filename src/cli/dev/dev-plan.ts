import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { QuartermasterError } from '../../core/problem.ts';
import type { Randomness } from '../../runtime/randomness.ts';
import { makeFolder, readPlan } from '../cluster/kept-plan.ts';
import { stablePorts } from '../cluster/stable-ports.ts';

const port = z.int().min(1).max(65_535);
const schema = z.object({
  cluster: z.string(),
  resourceManagers: z.array(port),
  taskExecutors: z.array(port),
});

/** What must stay the same when a `dev` with a data directory is started again: its cluster and its ports. */
export type DevPlan = z.infer<typeof schema>;

const PLAN_FILE = 'quartermaster-dev.json';

/**
 * The plan kept in this folder, with ports added where there are too few; a new one where there is none.
 * Throws `CONFLICT` when the folder belongs to another cluster, `INVALID` when it cannot be used.
 */
export async function devPlan(
  folder: string,
  wanted: { readonly cluster: string; readonly resourceManagers: number; readonly taskExecutors: number },
  randomness: Randomness,
): Promise<DevPlan> {
  await makeFolder(folder);
  const file = join(folder, PLAN_FILE);
  const kept = await readPlan(file, schema);
  if (kept !== null && kept.cluster !== wanted.cluster) {
    const detail = `${folder} holds cluster ${kept.cluster}, not ${wanted.cluster}: choose another data directory.`;
    throw new QuartermasterError({ code: 'CONFLICT', detail });
  }
  const resourceManagers = kept?.resourceManagers ?? [];
  const taskExecutors = kept?.taskExecutors ?? [];
  const missing = {
    resourceManagers: Math.max(0, wanted.resourceManagers - resourceManagers.length),
    taskExecutors: Math.max(0, wanted.taskExecutors - taskExecutors.length),
  };
  const ports = await stablePorts(missing.resourceManagers + missing.taskExecutors, randomness);
  const plan: DevPlan = {
    cluster: wanted.cluster,
    resourceManagers: [...resourceManagers, ...ports.slice(0, missing.resourceManagers)],
    taskExecutors: [...taskExecutors, ...ports.slice(missing.resourceManagers)],
  };
  await writeFile(file, JSON.stringify(plan));
  return plan;
}

/** Takes the plan away, so that the next one has other ports. */
export function forgetPlan(folder: string): Promise<void> {
  return rm(join(folder, PLAN_FILE), { force: true });
}

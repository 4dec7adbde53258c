import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import type { ProcessSpec } from '../../../src/cli/cluster/process-supervisor.ts';
import { devPlan } from '../../../src/cli/dev/dev-plan.ts';
import { devProcesses } from '../../../src/cli/dev/dev-processes.ts';
import { pause } from '../../../src/cli/pause.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import type { StoreEndpoint } from '../../../src/ha/coordination-store.ts';
import { parseCandidate, parseHistoryRow } from '../../../src/ha/election-records.ts';
import { ClusterKeys } from '../../../src/ha/keys.ts';
import { overviewAnswer } from '../../../src/http/answers.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import { SystemRandomness } from '../../../src/runtime/system-randomness.ts';
import type { Effect } from './effects.ts';
import { machineMs } from './machine-time.ts';
import type { System, Tell } from './system.ts';
import { termEndedBy } from './term-ended.ts';

const CLUSTER = 'bench';
const FIRST_GENERATION = 1;
const CLAIM_MS = 10;
/** A stopped process answers when it is woken; the answer is wanted. */
const ANSWER_TIMEOUT_MS = 30_000;
const CALL_TIMEOUT_MS = 1_000;
/** Three depositions in 10 s are the limit, and the fourth would wait for the lease. */
const BETWEEN_DEPOSITIONS_MS = 3_600;
const WORKER = fileURLToPath(new URL('./quartermaster-worker.js', import.meta.url));

const clock = new SystemClock();

/** This project: three resource managers, a task executor and a job that takes slots without end, every time at its default. */
export async function quartermaster(options: {
  readonly etcdUrls: readonly string[];
  readonly endpoint: StoreEndpoint;
  readonly folder: string;
}): Promise<System> {
  const keys = new ClusterKeys(CLUSTER);
  const counts = { resourceManagers: 3, taskExecutors: 0 };
  const plan = await devPlan(options.folder, { cluster: CLUSTER, ...counts }, new SystemRandomness());
  const processes = devProcesses({
    plan,
    ...counts,
    slots: 0,
    jobSlots: 0,
    etcdUrls: options.etcdUrls,
    folder: options.folder,
    timing: DEFAULT_TIMING,
    logLevel: 'info',
    environment: process.env,
    onJobLine: () => {},
  });
  const resourceManagers = processes.flatMap(({ role, id, address }) =>
    role === 'resource-manager' && address !== null ? [{ id, address }] : [],
  );
  const agent = new Agent({ headersTimeout: ANSWER_TIMEOUT_MS, bodyTimeout: ANSWER_TIMEOUT_MS });
  let lastDepositionMs = -Infinity;
  return {
    name: 'quartermaster',
    electionPrefix: keys.election,
    candidates: resourceManagers.map(({ id }) => id),
    takeOverLimitMs: 30_000,
    fences: true,
    claimsUntilItsEnd: false,
    specs: (_tell, took) => {
      const addresses = resourceManagers.map(({ address }) => address).join(',');
      const worker: ProcessSpec = {
        name: 'worker',
        program: process.execPath,
        args: [WORKER, CLUSTER, addresses],
        environment: process.env,
        logFile: join(options.folder, 'worker.log'),
        onLine: (line) => took(effectOf(line)),
      };
      return [...processes.map(({ spec }) => spec), worker];
    },
    candidateOf: (value) => parseCandidate(value)?.resourceManagerId ?? null,
    askForClaims: (tell, signal) => {
      for (const { id, address } of resourceManagers)
        void askWhetherItLeads(id, address, agent, tell, signal);
      signal.addEventListener('abort', () => void agent.destroy());
    },
    missing: () => {
      if (machineMs() - lastDepositionMs < BETWEEN_DEPOSITIONS_MS) return Promise.resolve('distance');
      return whatIsMissing(resourceManagers);
    },
    termEnd: async (epoch, fault) => {
      if (fault !== 'sigterm') lastDepositionMs = machineMs();
      const key = keys.historyRow(FIRST_GENERATION, epoch);
      const { keyValues } = await options.endpoint.range({ type: 'range', key }, CALL_TIMEOUT_MS);
      return termEndedBy(parseHistoryRow(keyValues[0]?.value ?? '')?.ended ?? null, fault);
    },
  };
}

function effectOf(line: string): Effect {
  const [, epoch, atMs] = /^accepted (\d+) ([\d.]+)$/.exec(line) ?? [];
  if (epoch === undefined) throw new Error(`the worker says ${line}`);
  return { epoch: BigInt(epoch), atMs: Number(atMs) };
}

/** `/leaderz` every 10 ms: 200 from the confirmed, serving leader only. */
async function askWhetherItLeads(
  candidate: string,
  address: string,
  agent: Agent,
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    let leads = false;
    const askedAtMs = machineMs();
    try {
      const { statusCode, body } = await request(`http://${address}/leaderz`, { dispatcher: agent, signal });
      leads = statusCode === 200;
      await body.dump();
    } catch {
      // Nobody listens there at the moment.
    }
    tell({ candidate, kind: leads ? 'leads' : 'follows', atMs: machineMs(), askedAtMs });
    await pause(clock, CLAIM_MS, signal);
  }
}

async function whatIsMissing(
  resourceManagers: readonly { readonly address: string }[],
): Promise<string | null> {
  for (const { address } of resourceManagers) {
    const answer = await fetch(`http://${address}/v1/overview`, {
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    }).catch(() => null);
    if (answer?.ok !== true) continue;
    const { standbys, taskExecutors, recovery } = overviewAnswer.parse(await answer.json());
    if (standbys.filter(({ ready }) => ready).length < resourceManagers.length - 1) return 'standbys';
    if (taskExecutors === 0 || recovery !== null) return 'the task executor';
    return null;
  }
  return 'a leader';
}

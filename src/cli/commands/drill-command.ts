import { existsSync, readdirSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import type { DrillReport } from '../../core/drill/drill-evidence.ts';
import { QuartermasterError } from '../../core/problem.ts';
import type { CommandContext } from '../command-context.ts';
import { runDrill } from '../drill/drill.ts';
import { findIp } from '../drill/network/ip-command.ts';
import { namespaceRefusal } from '../drill/network/namespace-rules.ts';
import { openReport } from '../drill/report/open-report.ts';
import { renderReport } from '../drill/report/render-report.ts';
import { drillJson, renderDrill, roundLine } from '../drill/render-drill.ts';
import { SCENARIO_NAMES, SCENARIOS, type ScenarioName } from '../drill/scenarios.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { DRILL_SETTINGS, type DrillValues } from '../settings/drill-settings.ts';
import { timingOf } from '../settings/timing-settings.ts';
import { defineCommand } from './define-command.ts';

const ALL = 'all';

/** `quartermaster drill`. */
export function drillCommand(context: CommandContext): Command {
  const width = Math.max(...SCENARIO_NAMES.map(({ length }) => length));
  const scenarios = SCENARIO_NAMES.map((name) => `  ${name.padEnd(width)}  ${SCENARIOS[name].summary}`);
  return defineCommand(context, {
    name: 'drill <SCENARIO>',
    summary: 'Breaks a cluster of its own under load, measures the failover, judges the guarantees',
    examples: [
      'drill kill-leader',
      'drill pause-leader --rounds 20',
      'drill kill-leader --rounds 200 --json > drill.json',
      'drill step-down --rounds 20 --report drill.html',
      'drill unplug-leader --network namespaces',
      'drill all --rounds 3',
    ],
    notes: [
      'Scenarios:',
      ...scenarios,
      `  ${ALL.padEnd(width)}  each of them in turn`,
      'The two that unplug need --network namespaces: each resource manager, task executor and member',
      'of etcd has a network namespace of its own, and packets on a cut link are lost. That takes',
      'Linux, root and the program ip (iproute2); everything is removed at the end.',
      '',
      'Starts etcd, 3 resource managers, 3 task executors and jobs on this machine, with a',
      'steady stream of slot requests of which some always wait, and ends them again. The time',
      "without a leader runs from the fault to the successor's first accepted call (the",
      'registration of a job), the time to the first slot until a request that was waiting when',
      'the successor was confirmed has its slot, claimed. Both are seen from outside. Faults are',
      'spaced so that the limit of 3 depositions in 10 s is not reached.',
      '--json: the last line has scenario, rounds, leaderlessMs, firstGrantMs, overlapMs,',
      'needlessChanges, sdkErrors, staleRefused, leasesLost, doubleGrants, requestsLost,',
      'guarantees, and more.',
      'Ends with 3 when a guarantee was broken, with 1 when a drill could not be carried out.',
    ].join('\n'),
    settings: DRILL_SETTINGS,
    options: (command) => command.option('--json', 'print the report as one line of JSON'),
    check: (values) => void timingOf(values),
    run: ({ values, args, options }) => run(context, values, args[0] ?? '', options['json'] === true),
  });
}

async function run(context: CommandContext, values: DrillValues, name: string, json: boolean): Promise<void> {
  const etcdMembers = values.drillEtcdMembers === '3' ? 3 : 1;
  const namespacesBy = values.drillNetwork === 'namespaces' ? namespaceTool(context) : null;
  const scenarios = scenariosOf(name, etcdMembers, namespacesBy !== null);
  if (values.drillKeep !== undefined) checkKept(values.drillKeep);
  // Before anything runs: a report that cannot be written is said now, not after the drill.
  const writeReport = values.drillReport === undefined ? null : openReport(values.drillReport);
  const ofRounds = values.drillRounds * scenarios.length;
  const say = (line: string): void =>
    context.warn(`${new Date(context.clock.wallMs()).toISOString().slice(11, 23)}  ${line}`);
  const signal = context.interruption();
  let done = 0;
  let report: DrillReport;
  try {
    report = await runDrill({
      context,
      signal,
      name,
      scenarios,
      rounds: values.drillRounds,
      timing: timingOf(values),
      logLevel: values.logLevel,
      folder: values.drillKeep ?? null,
      etcdMembers,
      namespacesBy,
      etcdHeartbeatMs: values.drillEtcdHeartbeatMs ?? null,
      etcdElectionTimeoutMs: values.drillEtcdElectionMs ?? null,
      onProgress: say,
      onRound: (round) => {
        done += 1;
        say(roundLine(round, ofRounds));
      },
    });
  } catch (error) {
    throw failure(error, done, signal);
  }
  writeReport?.(renderReport(report));
  context.print(json ? drillJson(report) : renderDrill(report));
  if (Object.values(report.guarantees).includes('broken')) context.exit(EXIT_CODES.guaranteeViolated);
}

/** Throws `INVALID` for a name that is none, and for a scenario that the cluster is too small for. */
function scenariosOf(name: string, etcdMembers: 1 | 3, namespaces: boolean): readonly ScenarioName[] {
  const chosen = name === ALL ? SCENARIO_NAMES : SCENARIO_NAMES.filter((each) => each === name);
  if (chosen.length === 0) {
    const detail = `There is no scenario ${name}; there are ${[...SCENARIO_NAMES, ALL].join(', ')}.`;
    throw new QuartermasterError({ code: 'INVALID', detail });
  }
  const missing = (each: ScenarioName): string | null => {
    const { needsThreeMembers, needsNamespaces } = SCENARIOS[each];
    if (needsThreeMembers && etcdMembers < 3) return '--etcd-members 3';
    return needsNamespaces && !namespaces ? '--network namespaces' : null;
  };
  const possible = chosen.filter((each) => missing(each) === null);
  if (possible.length > 0) return possible;
  const needs = chosen.map(missing).join(' and ');
  throw new QuartermasterError({ code: 'INVALID', detail: `${name} needs ${needs}.` });
}

/** Where `ip` is; throws `INVALID` with the reason when no namespaces can be made here. */
function namespaceTool({ environment }: CommandContext): string {
  const ip = findIp(environment);
  const { platform } = process;
  const detail = namespaceRefusal({ platform, userId: process.geteuid?.() ?? null, ip });
  if (detail === null && ip !== null) return ip;
  throw new QuartermasterError({ code: 'INVALID', detail: detail ?? 'There is no ip.' });
}

/** What another drill has left there is of another cluster. */
function checkKept(folder: string): void {
  if (!existsSync(folder) || (statSync(folder).isDirectory() && readdirSync(folder).length === 0)) return;
  const detail = `${folder} is not empty: choose another folder to keep the drill in.`;
  throw new QuartermasterError({ code: 'INVALID', detail });
}

/** Whatever kept a drill from being carried out ends it with 1: it says nothing of a guarantee. */
function failure(error: unknown, rounds: number, signal: AbortSignal): QuartermasterError {
  const after = `after ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`;
  if (signal.aborted) {
    return new QuartermasterError({ code: 'CANCELLED', detail: `The drill was interrupted ${after}.` });
  }
  const why = error instanceof Error ? error.message : String(error);
  const detail = `The drill could not be carried out; it ended ${after}: ${why}`;
  return new QuartermasterError({ code: 'CONFLICT', detail }, { cause: error });
}

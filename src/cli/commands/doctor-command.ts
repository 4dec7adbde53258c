import type { Command } from 'commander';
import { QuartermasterError } from '../../core/problem.ts';
import type { CommandContext } from '../command-context.ts';
import { findingsFrom } from '../doctor/judge.ts';
import { measure } from '../doctor/measure.ts';
import { renderDiagnosis } from '../doctor/render.ts';
import { etcdAccess } from '../etcd-access.ts';
import { DOCTOR_SETTINGS } from '../settings/doctor-settings.ts';
import { refuse } from '../settings/resolve-settings.ts';
import { etcdProblems } from '../settings/resource-manager-settings.ts';
import { defineCommand } from './define-command.ts';

/** `quartermaster doctor`. */
export function doctorCommand(context: CommandContext): Command {
  const { clock, randomness } = context;
  return defineCommand(context, {
    name: 'doctor',
    summary: 'Looks at etcd and the resource managers: what will a failover cost, and what to change',
    examples: [
      'doctor',
      'doctor --etcd http://10.0.0.1:2379,http://10.0.0.2:2379',
      'doctor --etcd http://10.0.0.1:2379 --resource-managers 10.0.0.1:7070,10.0.0.2:7070',
      'doctor --json | jq \'.findings[] | select(.severity != "note")\'',
    ],
    notes:
      'Writes nothing but leases of its own without keys, which it revokes. Takes some seconds. Ends with 1\nafter a critical finding, with 2 when no etcd answers.',
    settings: DOCTOR_SETTINGS,
    check: (values) => refuse(etcdProblems(values)),
    options: (command) => command.option('--json', 'print the measurements and findings as one line of JSON'),
    run: async ({ values, options }) => {
      const { etcd, cluster, resourceManagers = [], timeoutMs, leaseTtlSeconds } = values;
      const places = { etcd, resourceManagers, cluster };
      const means = { clock, randomness, timeoutMs, leaseTtlSeconds, ...etcdAccess(values) };
      const measurements = await measure({ ...places, ...means });
      const findings = findingsFrom(measurements);
      context.print(
        options['json'] === true
          ? JSON.stringify({ ...measurements, findings }, decimal)
          : renderDiagnosis(measurements, findings),
      );
      if (measurements.endpoints.every(({ status }) => status === null)) {
        throw new QuartermasterError({ code: 'UNAVAILABLE', detail: 'No etcd endpoint answers.' });
      }
      const critical = findings.filter(({ severity }) => severity === 'critical').length;
      if (critical === 0) return;
      const detail = `${critical} of the ${findings.length} findings may keep a failover from succeeding.`;
      throw new QuartermasterError({ code: 'CONFLICT', detail });
    },
  });
}

/** Revisions are decimal strings, as over HTTP. */
function decimal(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

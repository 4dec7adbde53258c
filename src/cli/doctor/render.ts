import { labelledText } from '../labelled-text.ts';
import { cell, formatTable } from '../table.ts';
import type { Finding } from './finding.ts';
import type { Latency } from './latency.ts';
import type { EndpointMeasurement, Measurements } from './measurements.ts';

/** The measurements as tables and the findings as paragraphs, for people. */
export function renderDiagnosis(measurements: Measurements, findings: readonly Finding[]): string {
  const { endpoints, resourceManagers } = measurements;
  return [
    formatTable(
      ['ETCD', 'VERSION', 'ROLE', 'RANGE MS', 'CHECK MS', 'WRITE MS', 'FSYNC P99', 'DB MB', 'TTL'],
      endpoints.map(endpointRow),
    ),
    ...(resourceManagers.length === 0
      ? []
      : [
          formatTable(
            ['RESOURCE MANAGER', 'LIVEZ MS'],
            resourceManagers.map(({ address, livez }) => [address, latency(livez)]),
          ),
        ]),
    'Latencies are p50/p99; TTL is granted/asked, and the least that is granted.',
    ...(findings.length === 0
      ? ['Nothing was found that would hold a failover up.']
      : grouped(findings).map(paragraph)),
  ].join('\n\n');
}

function endpointRow(measured: EndpointMeasurement): string[] {
  const { endpoint, status, range, check, write, metrics, lease } = measured;
  const fsync = metrics?.fsyncP99 ?? null;
  return [
    endpoint,
    cell(status?.version),
    status === null ? 'silent' : roleOf(status),
    latency(range),
    latency(check),
    latency(write),
    fsync === null ? '-' : fsync.atMostMs === null ? `>${fsync.aboveMs}` : `<=${fsync.atMostMs}`,
    status === null ? '-' : (status.dbBytes / 1024 ** 2).toFixed(1),
    lease === null ? '-' : `${lease.grantedSeconds}/${lease.askedSeconds}, ${lease.leastGrantedSeconds}`,
  ];
}

function roleOf({ isLearner, leaderId, memberId }: NonNullable<EndpointMeasurement['status']>): string {
  if (isLearner) return 'learner';
  return leaderId === memberId ? 'leader' : 'follower';
}

function latency(measured: Latency | null): string {
  return measured === null ? '-' : `${measured.p50Ms.toFixed(1)}/${measured.p99Ms.toFixed(1)}`;
}

interface Group extends Finding {
  readonly subjects: string[];
}

/** What is the same of several endpoints is told once. */
function grouped(findings: readonly Finding[]): Group[] {
  const groups = new Map<string, Group>();
  for (const each of findings) {
    const key = JSON.stringify([each.code, each.finding, each.cost, each.change]);
    const group = groups.get(key) ?? { ...each, subjects: [] };
    if (each.subject !== null) group.subjects.push(each.subject);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function paragraph({ severity, subjects, finding, cost, change }: Group): string {
  return labelledText([
    [severity, subjects.length === 0 ? finding : `${subjects.join(', ')}: ${finding}`],
    ['  costs', cost],
    ['  change', change],
  ]);
}

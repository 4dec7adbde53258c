import { bugsOf } from './known-bugs.ts';
import type { Finding } from './finding.ts';
import type { EndpointMeasurement } from './measurements.ts';

const MOST_RAFT_LAG = 1_000;

/** Who answers, what each is, and whether they belong together. */
export function judgeMembers(endpoints: readonly EndpointMeasurement[]): Finding[] {
  return [
    ...endpoints.flatMap((each) => [...judgeHealth(each), ...judgeState(each), ...judgeVersion(each)]),
    ...judgeTogether(endpoints),
  ];
}

function judgeHealth({ endpoint, failure, status }: EndpointMeasurement): Finding[] {
  if (failure === null) return [];
  return [
    {
      severity: 'critical',
      code: 'endpoint-fails',
      subject: endpoint,
      finding:
        status === null ? `It does not answer: ${failure}` : `It answers, but not everything: ${failure}`,
      cost: 'each call that starts there loses 100 ms before it goes to the next endpoint; with a majority of the members gone, nobody can be confirmed',
      change: 'start that member, or take it out of --etcd of every resource manager',
    },
  ];
}

function judgeState({ endpoint, status }: EndpointMeasurement): Finding[] {
  if (status === null) return [];
  const found: Finding[] = [];
  const add = (finding: Omit<Finding, 'subject'>): void => void found.push({ ...finding, subject: endpoint });
  if (status.leaderId === '0') {
    add({
      severity: 'critical',
      code: 'no-etcd-leader',
      finding: 'It knows no leader of etcd.',
      cost: 'without a quorum nothing is written: the resource manager that leads suspends itself, and no other one is confirmed',
      change: 'bring a majority of the members back, and check the peer URLs between them (port 2380)',
    });
  }
  for (const error of status.errors.filter((text) => !/no leader/i.test(text))) {
    const outOfSpace = /NOSPACE/i.test(error);
    add({
      severity: 'critical',
      code: outOfSpace ? 'no-space' : 'etcd-alarm',
      finding: `It raises an alarm: ${error}`,
      cost: outOfSpace
        ? 'etcd refuses puts and lease grants: who leads goes on, but no successor can be confirmed'
        : 'etcd may refuse what a failover needs, or hold data that differs between members',
      change: outOfSpace
        ? 'compact, `etcdctl defrag` one member after the other, then `etcdctl alarm disarm`; until then do not stop the resource manager that leads'
        : 'see `etcdctl alarm list` and the log of that member',
    });
  }
  if (status.isLearner) {
    add({
      severity: 'warning',
      code: 'learner',
      finding: 'It is a learner and has no vote.',
      cost: 'it does not count for the quorum, and refuses most calls',
      change: 'promote it (`etcdctl member promote`), or leave it out of --etcd',
    });
  }
  if (status.raftLag > MOST_RAFT_LAG) {
    add({
      severity: 'warning',
      code: 'raft-lag',
      finding: `It has still to apply ${status.raftLag} committed entries.`,
      cost: 'reads and checks through it wait until it has caught up',
      change: 'look at its disk and processor',
    });
  }
  return found;
}

function judgeVersion({ endpoint, status }: EndpointMeasurement): Finding[] {
  if (status === null) return [];
  return bugsOf(status.version).map(({ bug, mendedBy }) => ({
    severity: 'warning',
    code: 'known-bug',
    subject: endpoint,
    finding: `etcd ${status.version} has a known bug: ${bug.name} (${bug.reference}).`,
    cost: bug.cost,
    change: `update to ${mendedBy} or later`,
  }));
}

function judgeTogether(endpoints: readonly EndpointMeasurement[]): Finding[] {
  const found: Finding[] = [];
  const statuses = endpoints.flatMap(({ status }) => (status === null ? [] : [status]));
  const distinct = (name: 'clusterId' | 'memberId' | 'version'): string[] => [
    ...new Set(statuses.map((status) => status[name])),
  ];
  if (distinct('clusterId').length > 1) {
    found.push({
      severity: 'critical',
      code: 'several-clusters',
      subject: null,
      finding: `The endpoints belong to different etcd clusters: ${distinct('clusterId').join(', ')}.`,
      cost: 'resource managers that reach different ones elect a leader each',
      change: 'name the members of one cluster only',
    });
  }
  if (statuses.length > distinct('memberId').length) {
    found.push({
      severity: 'warning',
      code: 'same-member',
      subject: null,
      finding: 'Several endpoints lead to the same member.',
      cost: 'when that member dies, all of them are gone at once',
      change: 'name each member once, by its own address rather than that of a load balancer',
    });
  }
  if (endpoints.length === 1) {
    found.push({
      severity: 'note',
      code: 'one-endpoint',
      subject: null,
      finding: 'There is only one endpoint of etcd.',
      cost: 'when it fails, the leader suspends itself and nobody can follow; running work goes on',
      change: 'run three members on three machines and name all of them',
    });
  }
  if (distinct('version').length > 1) {
    found.push({
      severity: 'note',
      code: 'several-versions',
      subject: null,
      finding: `The members run different versions: ${distinct('version').join(', ')}.`,
      cost: 'none while an update is under way; the cluster behaves as its oldest member',
      change: 'finish the update',
    });
  }
  return found;
}

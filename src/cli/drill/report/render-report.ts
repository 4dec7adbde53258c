import {
  DRILL_GUARANTEES,
  type DrillGuarantee,
  type DrillReport,
  type DrillRound,
  type DrillSummary,
  type DrillViolation,
} from '../../../core/drill/drill-evidence.ts';
import { distributionPicture, type DistributionRow } from './distribution-picture.ts';
import { formatMs } from './figures.ts';
import { html, Markup } from './markup.ts';
import { STYLE } from './style.ts';
import { numberedMarks, timelinePicture } from './timeline-picture.ts';

const GUARANTEE_NAMES: Readonly<Record<DrillGuarantee, string>> = {
  G1: 'One epoch commits',
  G2: 'Tokens only grow',
  G3: 'One slot, one lease',
  G4: 'One allocation, one slot',
  G5: 'Grant, confirm, forward',
  G6: 'No acting past the deadline',
  G7: 'Nothing acknowledged is lost',
  G8: 'A leader within the bound',
  G9: 'Running work is not disturbed',
};
/** Rounds whose picture is open at first: those that something went wrong in, and the slowest ones. */
const MOST_OPEN = 3;
/** With more of them the page is kept short. */
const MANY_ROUNDS = 30;

/** The report of a drill as one HTML page that needs nothing else; its figures are those of the report, unchanged. */
export function renderReport(report: DrillReport): string {
  const title = `Failover drill: ${report.scenario}`;
  const open = roundsToOpen(report);
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><style>${new Markup(STYLE)}</style></head><body><main>
<h1>${title}</h1>
<p class="soft">${report.rounds} ${report.rounds === 1 ? 'round' : 'rounds'}, ${time(report.startedWallMs)} to ${time(report.endedWallMs)}</p>
${verdict(report)}
<h2>Summary</h2>${summaryTable(report)}
<h2>Times</h2>${times(report)}
<h2>Guarantees</h2>${guaranteeTable(report)}${violationList(report.violations)}
<h2>Rounds</h2>${roundTable(report.perRound)}
<h2>Timelines</h2>
<p class="soft">A coloured bar is a leader in office, the shaded time had no serving leader. Numbers are explained in the table below each picture.</p>
${timelines(report, open)}
<h2>Conditions and limits</h2>${conditions(report)}
</main></body></html>
`;
  return page.text;
}

function verdict({ guarantees, fellBackToTtl }: DrillReport): Markup {
  const broken = DRILL_GUARANTEES.filter((name) => guarantees[name] === 'broken');
  const unseen = DRILL_GUARANTEES.filter((name) => guarantees[name] === 'unseen');
  const said =
    broken.length === 0
      ? html`<p class="verdict good">✓ No guarantee was broken.</p>`
      : html`<p class="verdict bad">✗ Broken: ${broken.join(', ')}</p>`;
  const notSeen = unseen.length === 0 ? '' : html`<p>Not put to the test: ${unseen.join(', ')}.</p>`;
  const fellBack =
    fellBackToTtl === 0
      ? ''
      : html`<p class="bad">${fellBackToTtl} of the rounds ended the term only by the time to live of its lease.</p>`;
  return html`${said}${notSeen}${fellBack}`;
}

const COUNTS = [
  ['needlessChanges', 'Needless changes'],
  ['sdkErrors', 'SDK errors'],
  ['staleRefused', 'Stale refused'],
  ['leasesLost', 'Leases lost'],
  ['doubleGrants', 'Double grants'],
  ['requestsLost', 'Requests lost'],
] as const;
/** Stale commands that were refused are how it should be; all else should be 0. */
const HARMLESS = 'staleRefused';
const PERCENTILES = ['p50', 'p90', 'p99', 'max'] as const;

function summaryTable(report: DrillReport): Markup {
  const rows = report.scenarios.length > 1 ? [...report.scenarios, { ...report, scenario: 'all' }] : [report];
  return html`<div class="scroll"><table><caption>Times since the fault</caption>
<thead><tr><th rowspan="2">Scenario</th><th class="n" rowspan="2">Rounds</th><th class="group" colspan="4">No serving leader</th><th class="group" colspan="4">First slot claimed</th></tr>
<tr>${[0, 1].map(() => PERCENTILES.map((name) => html`<th class="n">${name}</th>`))}</tr></thead>
<tbody>${rows.map(timesRow)}</tbody></table></div>
<div class="scroll"><table><caption>Over all rounds; but for stale commands, each of these should be 0</caption>
<thead><tr><th>Scenario</th><th class="n">Overlap</th>${COUNTS.map(([, name]) => html`<th class="n">${name}</th>`)}</tr></thead>
<tbody>${rows.map(countsRow)}</tbody></table></div>`;
}

function timesRow({ scenario, rounds, leaderlessMs, firstGrantMs }: DrillSummary): Markup {
  return html`<tr><th scope="row">${scenario}</th><td class="n">${rounds}</td>${[
    leaderlessMs,
    firstGrantMs,
  ].map((distribution) =>
    PERCENTILES.map((name) => html`<td class="n">${formatMs(distribution?.[name] ?? null)}</td>`),
  )}</tr>`;
}

function countsRow(summary: DrillSummary): Markup {
  const { scenario, overlapMs } = summary;
  return html`<tr><th scope="row">${scenario}</th><td class="n">${formatMs(overlapMs.max)}</td>${COUNTS.map(
    ([name]) => {
      const isBad = summary[name] > 0 && name !== HARMLESS;
      return html`<td class="n">${isBad ? html`<span class="bad">${summary[name]}</span>` : summary[name]}</td>`;
    },
  )}</tr>`;
}

function times(report: DrillReport): Markup {
  const rowsOf = (of: 'leaderlessMs' | 'firstGrantMs'): DistributionRow[] =>
    report.scenarios.map((summary) => ({
      name: summary.scenario,
      distribution: summary[of],
      samples: report.perRound
        .filter(({ scenario }) => scenario === summary.scenario)
        .flatMap((round) => round[of] ?? []),
    }));
  return html`<p class="soft">One dot for each round, on a logarithmic scale; the lines, and the figures at the right, are the median and the 99th percentile.</p>
<h3>No serving leader</h3>${distributionPicture('leaderless', 'Time without a serving leader', rowsOf('leaderlessMs'))}
<h3>First slot claimed under the new leader</h3>${distributionPicture('first-grant', 'Time to the first slot claimed', rowsOf('firstGrantMs'))}`;
}

function guaranteeTable({ guarantees, judged }: DrillReport): Markup {
  const says = { held: '✓ held', broken: '✗ broken', unseen: '– not put to the test' } as const;
  const evidence = Object.entries(judged).map(([what, number]) => `${words(what)} ${number}`);
  return html`<div class="scroll"><table><tbody>${DRILL_GUARANTEES.map(
    (name) =>
      html`<tr><th scope="row">${name}</th><td>${GUARANTEE_NAMES[name]}</td><td class="${guarantees[name] === 'broken' ? 'bad' : ''}">${says[guarantees[name]]}</td></tr>`,
  )}</tbody></table></div><p class="soft">Judged: ${evidence.join(', ')}.</p>`;
}

function violationList(violations: readonly DrillViolation[]): Markup {
  if (violations.length === 0) return html``;
  return html`<ul>${violations.map(
    ({ guarantee, rule, detail, places, round }) =>
      html`<li><span class="bad">${guarantee} ${rule}</span>${round === null ? '' : ` in round ${round}`}: ${detail}<br><span class="soft">${places.join(', ')}</span></li>`,
  )}</ul>`;
}

function roundTable(rounds: readonly DrillRound[]): Markup {
  return html`<div class="scroll tall" tabindex="0" role="region" aria-label="All rounds"><table>
<thead><tr><th class="n">Round</th><th>Fault</th><th>Leader</th><th class="n">Confirmed</th><th class="n">No leader</th><th class="n">First slot</th><th class="n">Overlap</th><th class="n">Stale refused</th><th>Trouble</th></tr></thead>
<tbody>${rounds.map(roundRow)}</tbody></table></div>`;
}

function roundRow(round: DrillRound): Markup {
  const { leaderBefore, leaderAfter, confirmMs, leaderlessMs, firstGrantMs, fellBackToTtl } = round;
  const before = leaderBefore.resourceManagerId;
  const leader = confirmMs === null ? `${before} stays` : `${before} → ${leaderAfter.resourceManagerId}`;
  const trouble = [
    ...(fellBackToTtl ? ['ended only by the TTL'] : []),
    ...COUNTS.flatMap(([name, what]) =>
      name !== HARMLESS && round[name] > 0 ? [`${what}: ${round[name]}`] : [],
    ),
  ];
  return html`<tr><td class="n"><a href="#r${round.round}">${round.round}</a></td><td>${round.fault}</td><td>${leader}</td>${[confirmMs, leaderlessMs, firstGrantMs, round.overlapMs].map((ms) => html`<td class="n">${formatMs(ms)}</td>`)}<td class="n">${round.staleRefused}</td><td>${trouble.length === 0 ? '–' : html`<span class="bad">${trouble.join(', ')}</span>`}</td></tr>`;
}

/** All timelines; of many rounds the open ones first, and the others one level deeper. */
function timelines({ perRound }: DrillReport, open: ReadonlySet<number>): Markup {
  if (perRound.length <= MANY_ROUNDS) {
    return html`${perRound.map((round) => timeline(round, open.has(round.round)))}`;
  }
  const first = perRound.filter(({ round }) => open.has(round));
  const others = perRound.filter(({ round }) => !open.has(round));
  return html`${first.map((round) => timeline(round, true))}
<details><summary>The other ${others.length} rounds</summary>${others.map((round) => timeline(round, false))}</details>`;
}

function timeline(round: DrillRound, isOpen: boolean): Markup {
  const { ended, waitingAtFault } = round;
  const how =
    ended === null
      ? ''
      : html`<p>The term ended by: ${ended.reason}${ended.evidence === '' ? '' : ` (${ended.evidence})`}.</p>`;
  const inSum = `${round.fault}: no serving leader for ${formatMs(round.leaderlessMs)}, first slot after ${formatMs(round.firstGrantMs)}`;
  return html`<details${isOpen ? ' open' : ''}><summary>Round ${round.round}, ${round.scenario}. ${inSum}</summary><div id="r${round.round}">
${timelinePicture(round)}${how}<p class="soft">${waitingAtFault} requests waited at the fault.</p>${markTable(round)}</div></details>
`;
}

function markTable(round: DrillRound): Markup {
  return html`<div class="scroll"><table><thead><tr><th class="n">No.</th><th class="n">Since the fault</th><th>Where</th><th>What</th></tr></thead><tbody>${numberedMarks(
    round,
  ).map(
    ({ number, mark, afterMs }) =>
      html`<tr><td class="n">${number}</td><td class="n">${formatMs(afterMs)}</td><td>${mark.lane}</td><td>${mark.label}</td></tr>`,
  )}</tbody></table></div>`;
}

function conditions(report: DrillReport): Markup {
  return html`<div class="scroll"><table><tbody>${Object.entries(report.conditions).map(
    ([name, value]) => html`<tr><th scope="row">${words(name)}</th><td>${value}</td></tr>`,
  )}</tbody></table></div><ul>${report.limits.map((limit) => html`<li>${limit}</li>`)}</ul>`;
}

function roundsToOpen({ perRound, violations }: DrillReport): Set<number> {
  const bad = violations.flatMap(({ round }) => round ?? []);
  const slowest = perRound
    .toSorted((a, b) => (b.leaderlessMs ?? 0) - (a.leaderlessMs ?? 0))
    .map(({ round }) => round);
  return new Set([...new Set([...bad, ...slowest])].slice(0, MOST_OPEN));
}

/** `leaseTtlSeconds` as `lease ttl seconds`. */
function words(name: string): string {
  return name.replace(/[A-Z]+/g, (capitals) => ` ${capitals.toLowerCase()}`);
}

function time(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

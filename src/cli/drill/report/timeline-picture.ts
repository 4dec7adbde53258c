import type { DrillLeader, DrillMark, DrillRound } from '../../../core/drill/drill-evidence.ts';
import { coordinate, formatMs, linearTicks } from './figures.ts';
import { html, type Markup } from './markup.ts';

const WIDTH = 1_000;
const LEFT = 170;
const RIGHT = 30;
const LANE = 30;
const TOP = 22;
/** How much of the picture lies before the fault. */
const BEFORE = 0.08;
/** What happens later than so many times the take-over stands in the table alone. */
const AFTER = 1.35;
const LEAST_MS = 5;

/** A mark with the number under which picture and table know it. */
export interface NumberedMark {
  readonly number: number;
  readonly mark: DrillMark;
  /** Since the fault. */
  readonly afterMs: number;
}

/** The marks of a round in their order. */
export function numberedMarks({ marks, faultAtWallMs }: DrillRound): NumberedMark[] {
  return marks
    .toSorted((a, b) => a.atWallMs - b.atWallMs)
    .map((mark, index) => ({ number: index + 1, mark, afterMs: mark.atWallMs - faultAtWallMs }));
}

/** Who led when, and what happened in each lane, around the fault of one round; the table of marks tells the same. */
export function timelinePicture(round: DrillRound): Markup {
  const { confirmMs, leaderlessMs, firstGrantMs } = round;
  const marks = numberedMarks(round);
  const lanes = lanesOf(round, marks);
  const takeOverMs = Math.max(confirmMs ?? 0, leaderlessMs ?? 0, firstGrantMs ?? 0);
  const latestMs = Math.max(LEAST_MS, ...marks.map(({ afterMs }) => afterMs));
  const endMs = takeOverMs > 0 ? Math.max(LEAST_MS, takeOverMs * AFTER) : latestMs * 1.05;
  const startMs = -BEFORE * endMs;
  const x = (ms: number): number =>
    coordinate(LEFT + ((ms - startMs) / (endMs - startMs)) * (WIDTH - LEFT - RIGHT));
  const bottom = TOP + lanes.length * LANE;
  const y = (lane: string): number => TOP + lanes.indexOf(lane) * LANE + LANE / 2;
  const inside = marks.filter(({ afterMs }) => afterMs >= startMs && afterMs <= endMs);
  const id = `round-${round.round}`;
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${bottom + 24}" role="img" aria-labelledby="${id}-t ${id}-d">
<title id="${id}-t">Round ${round.round}: ${round.fault}</title><desc id="${id}-d">${describe(round)}</desc>
${lanes.map((lane, index) => html`<rect class="${index % 2 === 0 ? 'band' : 'none'}" x="0" y="${TOP + index * LANE}" width="${WIDTH}" height="${LANE}" fill="none"/><text x="4" y="${y(lane) + 4}">${lane}</text>`)}
${leaderlessMs === null ? '' : html`<rect class="gap" x="${x(0)}" y="${TOP}" width="${coordinate(x(leaderlessMs) - x(0))}" height="${bottom - TOP}"/>`}
${linearTicks(endMs).map((tick) => html`<path class="axis" d="M${x(tick)} ${TOP}V${bottom}"/><text class="soft" x="${x(tick)}" y="${bottom + 15}" text-anchor="middle">${formatMs(tick)}</text>`)}
${terms(round, { x, y, startMs, endMs })}
<path class="cut" d="M${x(0)} ${TOP - 6}V${bottom}"/><text x="${x(0) + 4}" y="${TOP - 8}">fault</text>
${firstGrantMs === null ? '' : html`<path class="pct" d="M${x(firstGrantMs)} ${TOP - 6}V${bottom}"/><text x="${x(firstGrantMs) + 4}" y="${TOP - 8}">first slot</text>`}
${spreadOut(inside, x).map(
  ({ mark, number, at }) =>
    html`<circle class="k-${mark.kind}" cx="${at}" cy="${y(mark.lane)}" r="8"/><text class="in" x="${at}" y="${y(mark.lane) + 3.5}" text-anchor="middle">${number}</text>`,
)}
</svg></figure>`;
}

/** The drill and its fault first, then resource managers, etcd, task executors and what else there is, the load last. */
function lanesOf(round: DrillRound, marks: readonly NumberedMark[]): string[] {
  const named = new Set([
    round.leaderBefore.resourceManagerId,
    round.leaderAfter.resourceManagerId,
    'etcd',
    'load',
    ...marks.map(({ mark }) => mark.lane),
  ]);
  const rank = (lane: string): number => {
    if (lane === 'drill') return 0;
    if (lane === round.leaderBefore.resourceManagerId || lane === round.leaderAfter.resourceManagerId)
      return 1;
    if (lane.startsWith('rm')) return 1;
    return lane === 'etcd' ? 2 : lane === 'load' ? 4 : 3;
  };
  return [...named].toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

interface Frame {
  readonly x: (ms: number) => number;
  readonly y: (lane: string) => number;
  readonly startMs: number;
  readonly endMs: number;
}

/** Bars for who led by the record in etcd, and whose record it was. */
function terms(round: DrillRound, { x, y, startMs, endMs }: Frame): Markup[] {
  const { confirmMs, leaderlessMs, leaderBefore, leaderAfter } = round;
  const bar = (lane: string, fromMs: number, toMs: number, leader: DrillLeader): Markup => {
    const text = lane === 'etcd' ? `leader key of ${leader.resourceManagerId}` : '';
    const width = coordinate(x(toMs) - x(fromMs));
    const label = width < text.length * 7 ? '' : text;
    const name = lane === 'etcd' ? 'next' : 'term';
    return html`<rect class="${name}" x="${x(fromMs)}" y="${y(lane) - 9}" width="${width}" height="18" rx="3" fill-opacity=".3"/><text x="${x(toMs) - 8}" y="${y(lane) + 4}" text-anchor="end">${label}</text>`;
  };
  if (confirmMs === null) {
    return [
      bar(leaderBefore.resourceManagerId, startMs, leaderlessMs === null ? endMs : 0, leaderBefore),
      ...(leaderlessMs === null
        ? []
        : [bar(leaderBefore.resourceManagerId, leaderlessMs, endMs, leaderBefore)]),
      bar('etcd', startMs, endMs, leaderBefore),
    ];
  }
  return [
    bar(leaderBefore.resourceManagerId, startMs, 0, leaderBefore),
    bar(leaderAfter.resourceManagerId, leaderlessMs ?? confirmMs, endMs, leaderAfter),
    bar('etcd', confirmMs, endMs, leaderAfter),
  ];
}

/** Moves marks of one lane that would cover each other to the right. */
function spreadOut(
  marks: readonly NumberedMark[],
  x: (ms: number) => number,
): (NumberedMark & { readonly at: number })[] {
  const last = new Map<string, number>();
  return marks.map((numbered) => {
    const { lane } = numbered.mark;
    const at = Math.min(WIDTH - 9, Math.max(x(numbered.afterMs), (last.get(lane) ?? -Infinity) + 17));
    last.set(lane, at);
    return { ...numbered, at };
  });
}

function describe({ leaderBefore, leaderAfter, confirmMs, leaderlessMs, firstGrantMs }: DrillRound): string {
  const before = leaderBefore.resourceManagerId;
  if (confirmMs === null) {
    return leaderlessMs === null
      ? `${before} led on.`
      : `${before} led on after ${formatMs(leaderlessMs)} without serving.`;
  }
  return (
    `${before} led until the fault. ${leaderAfter.resourceManagerId} was confirmed after ${formatMs(confirmMs)}, ` +
    `a leader served again after ${formatMs(leaderlessMs)}, the first slot was claimed after ${formatMs(firstGrantMs)}.`
  );
}

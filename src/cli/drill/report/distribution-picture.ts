import type { Distribution } from '../../../core/drill/drill-evidence.ts';
import { coordinate, formatMs, logTicks, roundDown, roundUp } from './figures.ts';
import { html, type Markup } from './markup.ts';

/** One row of the picture: a time that each round took. */
export interface DistributionRow {
  readonly name: string;
  readonly samples: readonly number[];
  readonly distribution: Distribution | null;
}

const WIDTH = 1_000;
const LEFT = 190;
const RIGHT = 130;
const ROW = 34;
const TOP = 8;

/** A dot for each round on a logarithmic axis, with the median and the 99th percentile; a table tells the same. */
export function distributionPicture(id: string, title: string, rows: readonly DistributionRow[]): Markup {
  const shown = rows.filter(({ samples }) => samples.length > 0);
  const all = shown.flatMap(({ samples }) => samples).map((sample) => Math.max(0.1, sample));
  if (all.length === 0)
    return html`<p class="soft">No round lost its leader, so there is no time to show.</p>`;
  const least = roundDown(Math.min(...all) / 1.1);
  const most = roundUp(Math.max(...all) * 1.1);
  const span = Math.log(most / least);
  const x = (ms: number): number =>
    coordinate(LEFT + (Math.log(Math.max(0.1, ms) / least) / span) * (WIDTH - LEFT - RIGHT));
  const bottom = TOP + shown.length * ROW;
  const described = shown.map(({ name, samples, distribution }) => {
    const { p50 = 0, p99 = 0 } = distribution ?? {};
    return `${name}: ${samples.length} rounds, median ${formatMs(p50)}, 99th percentile ${formatMs(p99)}.`;
  });
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${bottom + 26}" role="img" aria-labelledby="${id}-t ${id}-d">
<title id="${id}-t">${title}</title><desc id="${id}-d">${described.join(' ')}</desc>
${logTicks(least, most).map(
  (tick) =>
    html`<path class="axis" d="M${x(tick)} ${TOP}V${bottom}"/><text class="soft" x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${formatMs(tick)}</text>`,
)}
${shown.map((row, index) => drawRow(row, TOP + index * ROW + ROW / 2, x))}
</svg></figure>`;
}

function drawRow(
  { name, samples, distribution }: DistributionRow,
  y: number,
  x: (ms: number) => number,
): Markup {
  const { p50 = 0, p99 = 0 } = distribution ?? {};
  return html`<text x="0" y="${y + 4}">${name}</text>
${samples.map((sample, index) => html`<circle class="dot" cx="${x(sample)}" cy="${coordinate(y + spread(index))}" r="3"/>`)}
<path class="pct" d="M${x(p50)} ${y - 12}v24M${x(p99)} ${y - 12}v24"/>
<text class="soft" x="${WIDTH}" y="${y + 4}" text-anchor="end">${formatMs(p50)} · ${formatMs(p99)}</text>
`;
}

/** Moves dots apart, each by what its place in the order gives, so that the same report looks the same. */
function spread(index: number): number {
  return ((index * 0.618) % 1) * 14 - 7;
}

import { expect } from 'chai';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  formatMs,
  linearTicks,
  logTicks,
  roundDown,
  roundUp,
} from '../../../../src/cli/drill/report/figures.ts';
import { openReport } from '../../../../src/cli/drill/report/open-report.ts';
import { renderReport } from '../../../../src/cli/drill/report/render-report.ts';
import type { DrillReport, DrillRound } from '../../../../src/core/drill/drill-evidence.ts';
import { QuartermasterError } from '../../../../src/core/problem.ts';
import { sampleReport } from '../../../support/sample-drill-report.ts';

const matches = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, found = '']) => found);

function withRound(change: Partial<DrillRound>): DrillReport {
  const report = sampleReport(['kill-leader'], 3);
  return {
    ...report,
    perRound: report.perRound.map((round, n) => (n === 1 ? { ...round, ...change } : round)),
  };
}

describe('the report of a drill as a page', () => {
  it('needs nothing but itself', () => {
    const page = renderReport(sampleReport(['kill-leader', 'step-down'], 20));
    expect(page).to.not.match(/<script|<link|<img|@import|url\(|https?:\/\//);
    expect(matches(page, /href="([^"]*)"/g).every((target) => target.startsWith('#'))).to.equal(true);
  });

  it('has each round in the table, with a link to its timeline, and each id once', () => {
    for (const rounds of [1, 20, 200]) {
      const page = renderReport(sampleReport(['kill-leader'], rounds));
      const ids = matches(page, / id="([^"]*)"/g);
      expect(new Set(ids).size).to.equal(ids.length);
      const links = matches(page, /href="#([^"]*)"/g);
      expect(links).to.have.length(rounds);
      expect(ids).to.include.members(links);
    }
  });

  it('tells in words what each picture shows', () => {
    const page = renderReport(sampleReport(['pause-leader'], 4));
    const pictures = matches(
      page,
      /(<svg [^>]*>\s*<title id="[^"]+">[^<]+<\/title><desc id="[^"]+">[^<]+<\/desc>)/g,
    );
    expect(pictures)
      .to.have.length(matches(page, /(<svg )/g).length)
      .and.have.length(6);
    expect(pictures.every((picture) => picture.includes('role="img"'))).to.equal(true);
    expect(page).to.include('rm-2 led until the fault. rm-3 was confirmed after');
  });

  it('shows the figures of the report as they are', () => {
    const page = renderReport({
      ...withRound({ leaderlessMs: 123, firstGrantMs: 4_567, confirmMs: 98.7 }),
      conditions: { etcdMembers: 3 },
    });
    for (const text of ['>123 ms<', '>4.57 s<', '>99 ms<', 'etcd members']) expect(page).to.include(text);
  });

  it('shows a leader that stayed, marks before the fault, and times that there are none of', () => {
    const stayed = { confirmMs: null, leaderlessMs: null, firstGrantMs: null, ended: null, marks: [] };
    const page = renderReport(withRound(stayed));
    expect(page)
      .to.include('rm-3 stays')
      .and.include('rm-3 led on.')
      .and.not.match(/NaN|undefined|Infinity/);
    const suspended = renderReport(withRound({ ...stayed, leaderlessMs: 300 }));
    expect(suspended).to.include('rm-3 led on after 300 ms without serving.');
    const nobody = { ...sampleReport(['kill-leader'], 1), leaderlessMs: null, firstGrantMs: null };
    const none = renderReport({
      ...nobody,
      scenarios: nobody.scenarios.map((summary) => ({ ...summary, leaderlessMs: null, firstGrantMs: null })),
      perRound: nobody.perRound.map((round) => ({ ...round, ...stayed })),
    });
    expect(none)
      .to.include('No round lost its leader')
      .and.not.match(/NaN|undefined|Infinity/);
  });

  it('names what was broken, where, what was not put to the test, and rounds that only the TTL ended', () => {
    const report = withRound({ fellBackToTtl: true, leasesLost: 2 });
    const page = renderReport({
      ...report,
      fellBackToTtl: 1,
      guarantees: { ...report.guarantees, G3: 'broken', G9: 'unseen' },
      violations: [
        { guarantee: 'G3', rule: 'two-users', detail: 'Two at once.', places: ['te.jsonl:7'], round: 2 },
      ],
    });
    for (const text of [
      '✗ Broken: G3',
      'Not put to the test: G9',
      'te.jsonl:7',
      'in round 2',
      '1 of the rounds',
    ]) {
      expect(page).to.include(text);
    }
    expect(page).to.include('ended only by the TTL, Leases lost: 2');
    expect(page).to.not.include('No guarantee was broken');
  });

  it('takes no text for markup', () => {
    const evil = `<script>alert("&'")</script>`;
    const { leaderAfter } = sampleReport(['kill-leader'], 1).perRound[0]!;
    const page = renderReport({
      ...withRound({ fault: evil, leaderAfter: { ...leaderAfter, resourceManagerId: evil } }),
      scenario: evil,
      conditions: { evil },
      limits: [evil],
    });
    expect(page).to.not.include('<script').and.not.include('alert("');
    expect(page).to.include('&lt;script&gt;alert(&quot;&amp;&#39;&quot;)');
  });

  it('stays small with many rounds', () => {
    expect(renderReport(sampleReport(['kill-leader'], 200)).length).to.be.below(1_500_000);
  });
});

describe('the figures of the report', () => {
  it('are short, with a unit', () => {
    const texts = [0, 0.04, 9.96, 12.4, 999.4, 1_000, 12_345, null].map(formatMs);
    expect(texts).to.deep.equal(['0 ms', '0 ms', '10 ms', '12 ms', '999 ms', '1.00 s', '12.3 s', '–']);
  });

  it('stand at round numbers on their axes', () => {
    expect(linearTicks(61)).to.deep.equal([0, 20, 40, 60]);
    expect(logTicks(7, 120)).to.deep.equal([10, 20, 50, 100]);
    expect([7, 20, 33, 99].map(roundDown)).to.deep.equal([5, 20, 20, 50]);
    expect([7, 20, 33, 99].map(roundUp)).to.deep.equal([10, 20, 50, 100]);
    expect(logTicks(0.5, 20_000)).to.deep.equal([1, 10, 100, 1_000, 10_000]);
  });
});

describe('the file of the report', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qm-report-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('keeps what was in it until there is a report, and is then that alone', () => {
    const file = join(folder, 'drill.html');
    writeFileSync(file, 'an earlier and longer report');
    const write = openReport(file);
    expect(readFileSync(file, 'utf8')).to.equal('an earlier and longer report');
    write('new');
    expect(readFileSync(file, 'utf8')).to.equal('new');
  });

  it('is refused before the drill when it cannot be written', () => {
    expect(() => openReport(join(folder, 'none', 'drill.html'))).to.throw(
      QuartermasterError,
      'cannot be written',
    );
  });
});

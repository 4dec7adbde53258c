import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readJournals } from '../../../../src/cli/audit/read-journals.ts';
import type { QuartermasterError } from '../../../../src/core/problem.ts';

const line = (atMs: number, more: object = {}): string =>
  JSON.stringify({
    at: '2026-01-01T00:00:00.000Z',
    event: 'token-adopted',
    atMs,
    resourceId: 'te-1',
    process: 'i-1',
    generation: 1,
    epoch: '5',
    leaderSessionId: 's',
    ...more,
  });

describe('reading journals', () => {
  const signal = new AbortController().signal;
  let folder: string;
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'qm-journals-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('counts a last line that was cut off, and a copy once', async () => {
    write('a.jsonl', `${line(1)}\n${line(2)}\n${line(3).slice(0, 40)}`);
    write('a.copy', `${line(1)}\n${line(2)}\n`);
    const { files, lines, tornLines, repeatedLines, unreadableLines, executors, gaps } = await readJournals(
      folder,
      signal,
    );
    expect({ files, lines, tornLines, repeatedLines, unreadableLines }).to.deep.equal({
      files: 2,
      lines: 5,
      tornLines: 1,
      repeatedLines: 2,
      unreadableLines: 0,
    });
    expect([executors.length, gaps.size]).to.deep.equal([2, 0]);
  });

  it('reads the line of the next process behind one that was cut off, and knows where something is missing', async () => {
    write('a.jsonl', `${line(1)}\n${line(2).slice(0, 40)}${line(3)}\nnonsense\n${line(4)}\n`);
    const { unreadableLines, executors, gaps } = await readJournals(folder, signal);
    expect(unreadableLines).to.equal(2);
    expect(executors.map(({ atMs }) => atMs)).to.deep.equal([1, 3, 4]);
    expect(gaps.get('a.jsonl')).to.deep.equal([2, 3]);
  });

  it('passes over events that no rule needs, and takes a known one without its fields for damaged', async () => {
    write(
      'a.jsonl',
      `${line(1)}\n${line(2, { event: 'command-refused' })}\n${line(3, { epoch: 'x' })}\n${line(4)}\n`,
    );
    const { unreadableLines, executors } = await readJournals(folder, signal);
    expect([unreadableLines, executors.length]).to.deep.equal([1, 2]);
  });

  it('refuses a folder without a journal', async () => {
    write('a.jsonl', 'nothing\n');
    for (const path of [folder, join(folder, 'none')]) {
      const error = await readJournals(path, signal).catch((each: unknown) => each);
      expect((error as QuartermasterError).code).to.equal('INVALID');
    }
  });
});

import { expect } from 'chai';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { journalAt } from '../../../../src/cli/processes/file-journal.ts';
import { NO_JOURNAL } from '../../../../src/runtime/journal.ts';
import { VirtualClock } from '../../../simulation/virtual-clock.ts';

describe('the journal in a file', () => {
  it('has one JSON line per event, with the time of day, and goes on where an earlier process ended', () => {
    const folder = mkdtempSync(join(tmpdir(), 'qm-journal-'));
    try {
      const path = join(folder, 'journal');
      const clock = new VirtualClock();
      journalAt(path, clock).record('granted', { atMs: 1.5, epoch: 9_007_199_254_740_993n });
      journalAt(path, clock).record('ended', { atMs: 2 });
      const at = '2026-01-01T00:00:00.000Z';
      expect(
        readFileSync(path, 'utf8')
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line)),
      ).to.deep.equal([
        { at, event: 'granted', atMs: 1.5, epoch: '9007199254740993' },
        { at, event: 'ended', atMs: 2 },
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is none where no file is named', () => {
    expect(journalAt(undefined, new VirtualClock())).to.equal(NO_JOURNAL);
  });
});

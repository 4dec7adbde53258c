import { audit, type AuditVerdict } from '../../src/core/audit/audit.ts';
import { type ExecutorFacts, journalFacts, type MasterFacts } from '../../src/core/audit/journal-facts.ts';
import type { WriteLog } from '../../src/core/audit/store-writes.ts';
import type { Violation } from '../../src/core/audit/violation.ts';
import { toJson } from '../../src/rpc/wire-format.ts';
import type { LogFields } from '../../src/runtime/logger.ts';
import { isOfLostConfirm } from './write-judge.ts';

/** Clocks of a run differ in their rates; a lease leaves its holder a tenth of room for that. */
const TOLERANCE_MS = 500;

/** Holds the judge of `audit` to a run: whatever strikes the workers, it must find nothing in their journals. */
export class JournalJudge {
  readonly #executors: ExecutorFacts[] = [];
  readonly #masters: MasterFacts[] = [];
  readonly #lengths = new Map<string, number>();

  /** To be told every line of every journal, with the time of day. Processes of one name write to one file. */
  note(wallMs: number, process: string, event: string, fields: LogFields): void {
    const file = process.replace(/#\d+$/, '');
    const line = (this.#lengths.get(file) ?? 0) + 1;
    this.#lengths.set(file, line);
    const value = asWritten({ event, ...fields });
    const said = journalFacts(value, { file, line, wallMs });
    if (said.of === 'executor') this.#executors.push(said.facts);
    if (said.of === 'master') this.#masters.push(said.facts);
    if (said.of === 'unknown') throw new Error(`audit cannot read a line of ${file}: ${toJson(value)}`);
  }

  /**
   * Throws when the judge finds a violation in the journals or in what was written to etcd, but for those about keys
   * that are excepted. Each era of etcd is judged for itself; a token must have been confirmed in one of them.
   */
  check(log: WriteLog, isExcepted: (key: string) => boolean = () => false): void {
    const journals = {
      executors: this.#executors,
      masters: this.#masters,
      gaps: new Map(),
      toleranceMs: TOLERANCE_MS,
    };
    const verdicts = log.map((era) => audit({ generation: 1, history: [], records: [] }, journals, [era]));
    if (verdicts.every(({ judged }) => judged.tokens === 0)) throw new Error('audit has judged no token');
    const violations = verdicts.flatMap((verdict, index) => {
      const isOfLost = isOfLostConfirm(log[index]);
      return verdict.violations.filter((violation) => !isOfLost(violation));
    });
    const [first] = violations.filter(
      (violation) => verdicts.every(tellsOf(violation)) && !violation.keys.some(isExcepted),
    );
    if (first !== undefined) throw new Error(`${first.guarantee}: audit finds ${toJson(first)}`);
  }
}

/** Whether a verdict about one era says so too, where it takes all of them to say it. */
function tellsOf({ rule, places }: Violation): (verdict: AuditVerdict) => boolean {
  return ({ violations }) =>
    rule !== 'token-never-confirmed' ||
    violations.some((other) => other.rule === rule && other.places.join() === places.join());
}

/** As it would be read from a file: numbers that JSON cannot carry are text. */
function asWritten(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? value.toString() : value,
    ]),
  );
}

import type { Command } from 'commander';
import { audit } from '../../core/audit/audit.ts';
import { ClusterKeys } from '../../ha/keys.ts';
import { toJson } from '../../rpc/wire-format.ts';
import { formatAudit } from '../audit/format-audit.ts';
import { readJournals } from '../audit/read-journals.ts';
import { readStore } from '../audit/read-store.ts';
import { StoreRecorder } from '../audit/store-recorder.ts';
import { storeWrites } from '../audit/store-writes.ts';
import type { CommandContext } from '../command-context.ts';
import { etcdStore } from '../etcd-store.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { AUDIT_SETTINGS, type AuditValues } from '../settings/audit-settings.ts';
import { refuse } from '../settings/resolve-settings.ts';
import { etcdProblems } from '../settings/resource-manager-settings.ts';
import { defineCommand } from './define-command.ts';

/** `quartermaster audit`. */
export function auditCommand(context: CommandContext): Command {
  return defineCommand(context, {
    name: 'audit',
    summary: 'Judges by what etcd and journals say whether the guarantees were kept',
    examples: [
      'audit',
      'audit --etcd http://10.0.0.1:2379 --cluster production',
      'audit --journals /var/log/quartermaster/journals',
      'audit --json | jq .violations',
    ],
    notes:
      'Reads only; beside a running `dev` it judges that. Judges every write that etcd has not compacted by what stood before it: was\n' +
      'it made by a confirmed leader whose key stood. With --journals also: had no slot two\n' +
      'users, and did no token fall. Says what compaction has put beyond judgement.\n' +
      'Ends with 3 when a guarantee was violated, and names each violation.',
    settings: AUDIT_SETTINGS,
    findsDev: true,
    check: (values) => refuse(etcdProblems(values)),
    options: (command) => command.option('--json', 'print the verdict as one line of JSON'),
    run: ({ values, options }) => runAudit(context, values, options['json'] === true),
  });
}

/** Within it etcd has told of every write that it still has, or does not answer. */
const CATCH_UP_MS = 60_000;

async function runAudit(context: CommandContext, values: AuditValues, json: boolean): Promise<void> {
  const { cluster, journals: folder, clockToleranceMs: toleranceMs } = values;
  const signal = context.interruption();
  // Journals first: history, read afterwards, then knows every term that they name.
  const journals = folder === undefined ? null : await readJournals(folder, signal);
  const store = etcdStore(values, context.clock);
  const keys = new ClusterKeys(cluster);
  const recorder = new StoreRecorder(store, keys.root, context.clock);
  let violated: boolean;
  try {
    const facts = await readStore(store, keys, signal);
    recorder.start();
    // Writes last: they reach as far as what was read before.
    const through = await recorder.caughtUp(CATCH_UP_MS, signal);
    const log = storeWrites(recorder.log, keys);
    const { violations, judged, beyond } = audit(
      facts,
      journals === null ? null : { ...journals, toleranceMs },
      log,
    );
    const read =
      journals === null
        ? null
        : {
            files: journals.files,
            lines: journals.lines,
            repeatedLines: journals.repeatedLines,
            tornLines: journals.tornLines,
            unreadableLines: journals.unreadableLines,
            toleranceMs,
          };
    const writes = {
      after: log[0]?.base.revision ?? 0n,
      through,
      count: log.reduce((sum, segment) => sum + segment.writes.length, 0),
    };
    const report = { cluster, revision: facts.revision, writes, violations, judged, beyond, journals: read };
    context.print(json ? toJson(report) : formatAudit(report));
    violated = violations.length > 0;
  } finally {
    recorder.stop();
    await store.close();
  }
  if (violated) context.exit(EXIT_CODES.guaranteeViolated);
}

import { exploration, type Mutant, namedTest, simulation } from './mutant.ts';

/** Who may write, who is confirmed, and how a term ends (G1, G5). */
export const ELECTION_MUTANTS: readonly Mutant[] = [
  {
    name: 'write-without-compare',
    fault: "a leader's write does not compare its own candidate key",
    after: 'G1; locks of etcd without a fence (Jepsen, etcd 3.4.3)',
    patches: [
      {
        file: 'ha/election-transactions.js',
        from: 'compare: [stands(own), ...write.alsoIf],',
        to: 'compare: [...write.alsoIf],',
      },
    ],
    checks: [simulation('storm', 200), exploration('election, crash')],
  },
  {
    name: 'key-not-checked-after-waiting',
    fault: 'a candidate waits for those before it to go, and does not look at its own key then',
    after: "G5; etcd's concurrency.Election, Campaign",
    patches: [
      {
        file: 'core/election/candidacy.js',
        from: 'const index = observation.line.findIndex((entry) => entry.key === this.#key && entry.createRevision === created);',
        to: 'const index = observation.line.filter((entry) => entry.createRevision < created).length;',
      },
      {
        file: 'ha/election-transactions.js',
        from: 'stands(own),\n            ...nobodyAhead,',
        to: '...nobodyAhead,',
      },
    ],
    checks: [
      simulation('storm', 200),
      namedTest(
        'unit/ha/election-transactions.test.ts',
        'is refused when its key is another one of the same name',
      ),
    ],
    why: 'The line that is followed and the guard of the confirm each find it out alone.',
  },
  {
    name: 'predecessor-taken-to-be-closed',
    fault: 'a confirm that has not read history does not compare that the predecessor has closed its term',
    after: 'G1; one whose lease ran out closes nothing, and its term stays open for ever',
    patches: [
      {
        file: 'ha/election-transactions.js',
        from: '...(history.closedUnread === undefined ? [] : [unchanged(history.closedUnread)]),',
        to: '',
      },
    ],
    checks: [simulation('storm', 200)],
  },
  {
    name: 'confirm-resolved-by-reading',
    fault: 'after a confirm without an answer the record is read, and its absence is taken for a no',
    after: 'G5; a transaction that is held back commits after the read',
    patches: [
      {
        file: 'ha/confirm-term.js',
        from: "final: ({ kind }) => kind === 'lease-not-found' || kind === 'rejected',",
        to: "final: ({ kind }) => kind === 'lease-not-found' || kind === 'rejected' || kind === 'unknown-outcome',",
      },
      {
        file: 'ha/confirm-term.js',
        from: "    if (outcome.kind === 'refused') {",
        to: `    if (outcome.kind === 'refused' && outcome.error.kind === 'unknown-outcome') {
        const read = await sendUntilAnswered(context, (endpoint) => endpoint.range({ type: 'range', key: keys.leader }, context.timing.etcdCallMs), { name: 'read record', signal });
        if (read.kind !== 'answered')
            return null;
        const record = first(read.value.keyValues, parseLeaderRecord);
        const ours = record !== null && sameToken(record.token, term.record.token);
        return withoutRegistrations(ours ? { kind: 'confirmed', sent: read.sent } : { kind: 'key-gone' });
    }
    if (outcome.kind === 'refused') {`,
      },
    ],
    checks: [simulation('confirm-held-back', 5)],
  },
  {
    name: 'backup-between-not-compared',
    fault:
      'a confirm that deposes compares the dead head and its own key, and nothing that stood between them',
    after: 'G5; a backup brings back a key that had gone, while the confirm is sent again',
    patches: [
      {
        file: 'ha/election-transactions.js',
        from: '[...guardDeposed(keys, deposed), ...guardGone(request.aheadAtFirst, deposed)]',
        to: 'guardDeposed(keys, deposed)',
      },
    ],
    checks: [simulation('restored-under-confirm', 5)],
  },
  {
    name: 'term-ahead-not-compared',
    fault: 'a confirm compares no rows of those who stood ahead, but that of its predecessor',
    after:
      'G1; in an etcd that was restored while the confirm is sent again one of them may be confirmed, and go',
    patches: [
      {
        file: 'ha/election-transactions.js',
        from: '...guardRowsAhead(request.rowsAhead, history),',
        to: '',
      },
    ],
    checks: [simulation('restored-term-ahead', 5)],
  },
  {
    name: 'second-session-on-one-key',
    fault: 'a confirm that is sent again names another session id, for the same candidate key',
    after: 'G5, G2: one key, one grant, one session id',
    patches: [
      {
        file: 'ha/confirm-term.js',
        from: "(endpoint) => endpoint.transact(transaction, context.timing.etcdCallMs), {\n        name: 'confirm',",
        to: `(endpoint) => {
        copies += 1;
        const id = \`00000000-0000-4000-8000-\${String(copies).padStart(12, '0')}\`;
        const success = transaction.success.map((operation) => operation.type === 'put' ? { ...operation, value: operation.value.replaceAll(record.token.leaderSessionId, id) } : operation);
        return endpoint.transact(copies === 1 ? transaction : { ...transaction, success }, context.timing.etcdCallMs);
    }, {
        name: 'confirm',`,
      },
      {
        file: 'ha/confirm-term.js',
        from: '    const { generation, epoch } = record.token;',
        to: '    let copies = 0;\n    const { generation, epoch } = record.token;',
      },
      { file: 'ha/election-transactions.js', from: '            absent(row),\n', to: '' },
    ],
    checks: [simulation('storm', 200)],
    why: 'The guard on the row of history keeps every second copy of a confirm out, whatever is in it.',
  },
  {
    name: 'resignation-forgotten-on-error',
    fault: 'a departure that fails once is not sent again, nor is the lease given back',
    after: 'G8; etcd#22123',
    patches: [
      {
        file: 'ha/leave-line.js',
        from: "const outcome = await sendUntilAnswered(context, (endpoint) => endpoint.transact(transaction, context.timing.etcdCallMs), { name: 'leave the line', final: ({ kind }) => kind === 'rejected' || kind === 'no-space', signal });",
        to: "const outcome = await context.ring.after(null).transact(transaction, context.timing.etcdCallMs).then((value) => ({ kind: 'answered', value }), (error) => ({ kind: 'refused', error }));",
      },
      {
        file: 'ha/leave-line.js',
        from: "context.logger.log('error', 'etcd refused the departure', { error: outcome.error.message });\n            return true;",
        to: "return 'forgotten';",
      },
      {
        file: 'ha/candidate-session.js',
        from: 'onDeparted(await leaveLine(context, keys, departure, signal));\n        await revokeLease(context, this.leaseId, signal);',
        to: `const departed = await leaveLine(context, keys, departure, signal);
        onDeparted(departed !== false);
        if (departed !== 'forgotten')
            await revokeLease(context, this.leaseId, signal);`,
      },
    ],
    checks: [simulation('lost-resignation', 5)],
  },
  {
    name: 'resignation-taken-back',
    fault: 'a resignation whose answer is lost is taken for undone: it leads on under the same token',
    after: 'G5, G6; a resignation that is under way may commit at any time',
    patches: [
      {
        file: 'ha/leave-line.js',
        from: "const outcome = await sendUntilAnswered(context, (endpoint) => endpoint.transact(transaction, context.timing.etcdCallMs), { name: 'leave the line', final: ({ kind }) => kind === 'rejected' || kind === 'no-space', signal });",
        to: "const outcome = await context.ring.after(null).transact(transaction, context.timing.etcdCallMs).then((value) => ({ kind: 'answered', value }), (error) => ({ kind: 'refused', error }));",
      },
      {
        file: 'ha/leave-line.js',
        from: "context.logger.log('error', 'etcd refused the departure', { error: outcome.error.message });\n            return true;",
        to: "return 'taken back';",
      },
      {
        file: 'ha/candidate-session.js',
        from: '        this.#life.abort();\n        const { context, keys, resourceManagerId } = this.#setting;\n',
        to: '        const { context, keys, resourceManagerId } = this.#setting;\n',
      },
      {
        file: 'ha/candidate-session.js',
        from: 'onDeparted(await leaveLine(context, keys, departure, signal));',
        to: `const departed = await leaveLine(context, keys, departure, signal);
        if (departed === 'taken back' && ours)
            return this.#report({ type: 'released', candidacy: this.number, takenBack: true });
        this.#life.abort();
        onDeparted(departed === true);`,
      },
      {
        file: 'core/election/candidacy.js',
        from: "if (this.#phase === 'ending')\n                    this.#phase = 'over';\n                return;",
        to: `if (this.#phase !== 'ending')
                    return;
                this.#phase = event.takenBack === true && this.endedTerm !== null ? 'leading' : 'over';
                if (this.#phase === 'leading') {
                    this.#term = this.endedTerm;
                    const { token } = this.#term;
                    const { clusterId } = this.#confirmation.identity;
                    out.push({ type: 'grantLeadership', leaderSessionId: token.leaderSessionId });
                    out.push({ type: 'leadershipConfirmed', candidacy: this.number, token, clusterId });
                }
                return;`,
      },
      {
        file: 'core/election/candidacy.js',
        from: '        this.#term = null;\n',
        to: '        this.endedTerm = this.#term;\n        this.#term = null;\n',
      },
    ],
    checks: [simulation('departure-held-back', 5)],
  },
  {
    name: 'old-confirm-erases-newer-record',
    fault:
      'a confirm compares neither its own key nor whether its term has a row: an old one commits over a newer record',
    after: 'G5; FLINK-40114',
    patches: [
      {
        file: 'ha/election-transactions.js',
        from: 'stands(own),\n            ...nobodyAhead,',
        to: '',
      },
      { file: 'ha/election-transactions.js', from: '            absent(row),\n', to: '' },
    ],
    checks: [simulation('storm', 200), exploration('election, first confirm, a crash')],
    why: 'Each of the guards alone keeps an old confirm out, as a deposition or the next confirm leaves a row.',
  },
  {
    name: 'released-before-work-stopped',
    fault: 'the key is given back first, and the term ends only when that is answered',
    after: 'G6; controller-runtime#1132',
    patches: [
      {
        file: 'core/election/candidacy.js',
        from: "return this.#phase === 'leading' && this.#term !== null && this.#term.mayServe(now);",
        to: "return (this.#phase === 'leading' || this.#phase === 'ending') && this.#term !== null && this.#term.mayServe(now);",
      },
      {
        file: 'core/election/candidacy.js',
        from: '        this.#term = null;\n',
        to: '        this.grantedBefore = granted;\n',
      },
      {
        file: 'core/election/candidacy.js',
        from: "        if (granted)\n            out.push({ type: 'revokeLeadership', reason: cause.reason });\n",
        to: '',
      },
      {
        file: 'core/election/candidacy.js',
        from: "if (this.#phase === 'ending')\n                    this.#phase = 'over';",
        to: "if (this.#phase === 'ending') {\n                    this.#phase = 'over';\n                    this.#term = null;\n                    if (this.grantedBefore)\n                        out.push({ type: 'revokeLeadership', reason: 'released' });\n                }",
      },
    ],
    checks: [simulation('lost-resignation', 5)],
  },
  {
    name: 'lease-revoked-instead-of-key-deleted',
    fault: 'a deposition revokes the lease of the head, unguarded, instead of deleting its key by revision',
    after: 'G8; a head that has answered meanwhile loses its leadership all the same',
    patches: [
      {
        file: 'ha/confirm-term.js',
        from: '    const work = historyWork(',
        to: `    for (const { key } of deposition?.dead ?? [])
        await sendUntilAnswered(context, (endpoint) => endpoint.revokeLease(BigInt(\`0x\${key.split('/').at(-1)}\`), context.timing.etcdCallMs), { name: 'revoke', final: () => true, signal });
    deposed = undefined;
    const work = historyWork(`,
      },
    ],
    checks: [simulation('late-deposition', 5)],
  },
];

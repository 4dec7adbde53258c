import type { Command } from 'commander';
import type { z } from 'zod';
import { jobMastersAnswer, overviewAnswer, taskExecutorsAnswer } from '../../http/answers.ts';
import type { CommandContext } from '../command-context.ts';
import { cell, formatTable } from '../table.ts';
import { defineClientCommand } from './client-command.ts';

type Overview = z.output<typeof overviewAnswer>;
type TaskExecutors = z.output<typeof taskExecutorsAnswer>['taskExecutors'];
type JobMasters = z.output<typeof jobMastersAnswer>['jobMasters'];

/** `quartermaster status`. */
export function statusCommand(context: CommandContext): Command {
  return defineClientCommand(context, {
    name: 'status',
    summary: 'Shows the leader, the standbys, the workers, the slots and what waits',
    examples: ['status', 'status --json', 'status --resource-managers 10.0.0.1:7070,10.0.0.2:7070'],
    notes: 'With --json: the answer of /v1/overview, with the rows of both tables beside it.',
    run: async ({ client, show }) => {
      const overview = await client.read('/v1/overview', overviewAnswer);
      const taskExecutorRows = await client.readAll(
        '/v1/task-executors',
        taskExecutorsAnswer,
        (page) => page.taskExecutors,
      );
      const jobMasterRows = await client.readAll(
        '/v1/job-masters',
        jobMastersAnswer,
        (page) => page.jobMasters,
      );
      show({ ...overview, taskExecutorRows, jobMasterRows }, () =>
        [
          summary(overview),
          taskExecutorTable(taskExecutorRows),
          ...(jobMasterRows.length > 0 ? [jobMasterTable(jobMasterRows)] : []),
        ].join('\n\n'),
      );
    },
  });
}

function summary({ leader, state, standbys, slots, pendingRequests, storeFull, recovery }: Overview): string {
  const { total, ...states } = slots;
  const parts = Object.entries(states)
    .filter(([name, count]) => count > 0 || name === 'free' || name === 'allocated')
    .map(([name, count]) => `${count} ${name}`);
  const token = `${leader.generation}-${leader.epoch}`;
  const rows = [
    ['Leader', `${leader.resourceManagerId}  ${leader.address}  term ${token}  ${state}`],
    ...standbys.map((standby) => [
      'Standby',
      `${standby.resourceManagerId}  ${standby.address}  ${readiness(standby)}`,
    ]),
    ['Slots', `${total} in all: ${parts.join(', ')}`],
    ['Waiting', `${pendingRequests} requests`],
  ];
  if (storeFull) rows.push(['etcd', 'full: nobody can register, and nobody could take over; see doctor']);
  if (recovery !== null) rows.push(['Recovery', recoveryText(recovery)]);
  return rows.map(([name = '', text = '']) => `${name.padEnd(9)}${text}`).join('\n');
}

function readiness({ connected, ready }: Overview['standbys'][number]): string {
  if (ready) return 'ready';
  return connected ? 'connected, not ready' : 'not connected';
}

function recoveryText(recovery: NonNullable<Overview['recovery']>): string {
  const { silentTaskExecutors: silent, expectedTaskExecutors: expected, braked, remainingMs } = recovery;
  const wait = `${silent} of ${expected} task executors are silent, up to ${Math.ceil(remainingMs / 1_000)} s more`;
  return braked ? `${wait}; more than half: no worker is given up` : wait;
}

function taskExecutorTable(rows: TaskExecutors): string {
  return formatTable(
    ['TASK EXECUTOR', 'STATE', 'ADDRESS', 'SLOTS', 'FREE', 'PROVIDER'],
    rows.map((row) => [
      row.resourceId,
      row.draining ? `${row.state}, draining` : row.state,
      cell(row.address),
      cell(row.slots),
      cell(row.freeSlots),
      cell(row.provider),
    ]),
  );
}

function jobMasterTable(rows: JobMasters): string {
  return formatTable(
    ['JOB', 'STATE', 'SLOTS', 'JOB MASTER'],
    rows.map((row) => [row.jobId, row.state, cell(row.allocatedSlots), row.jobMasterId]),
  );
}

import { request } from 'node:http';
import { QuartermasterError } from '../../core/problem.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { EtcdMember } from './etcd-member.ts';

const PROBE_INTERVAL_MS = 50;
const PROBE_TIMEOUT_MS = 1_000;

/** Body of what a member answers to such a call; empty when there is no answer in time, or it is no success. */
export function ask(method: 'GET' | 'POST', url: string): Promise<string> {
  return new Promise((resolve) => {
    const call = request(url, { method, timeout: PROBE_TIMEOUT_MS, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve(response.statusCode === 200 ? body : ''));
      response.on('error', () => resolve(''));
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(''));
    call.end(method === 'POST' ? '{}' : undefined);
  });
}

/** Whether it is this member that listens at its URL, and a linearizable read went through it. */
async function isHealthy(member: EtcdMember): Promise<boolean> {
  if (!/"health":"?true/.test(await ask('GET', `${member.url}/health`))) return false;
  return (await ask('POST', `${member.url}/v3/cluster/member/list`)).includes(`"name":"${member.name}"`);
}

function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.schedule(delayMs, resolve));
}

/** Resolves when every member is up and healthy; rejects as soon as one has ended, or when time is up. */
export async function waitUntilHealthy(
  members: readonly EtcdMember[],
  timeoutMs: number,
  clock: Clock,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const answers = await Promise.all(members.map(isHealthy));
    const ended = members.find((member) => member.pid === null);
    if (ended !== undefined) throw startFailure(`${ended.name} has ended`, ended);
    if (answers.every(Boolean)) return;
    if (clock.monotonicMs() > deadlineMs) {
      const silent = members[answers.indexOf(false)];
      throw startFailure(`${silent?.name} is not healthy after ${timeoutMs} ms`, silent);
    }
    await pause(clock, PROBE_INTERVAL_MS);
  }
}

function startFailure(what: string, member: EtcdMember | undefined): QuartermasterError {
  const lines = (member?.output ?? '').trim().split('\n').slice(-5).join('\n');
  return new QuartermasterError({
    code: 'UNAVAILABLE',
    detail: `etcd did not start: ${what}${lines === '' ? '' : `; its last words:\n${lines}`}`,
  });
}

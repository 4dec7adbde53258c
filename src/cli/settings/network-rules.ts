import { readFileSync } from 'node:fs';
import { QuartermasterError, type FieldProblem } from '../../core/problem.ts';
import { NO_SECRET, secretProver, type Prover } from '../../runtime/prover.ts';
import type { SettingValues } from './setting.ts';
import type { SECRET_SETTINGS } from './common-settings.ts';
import { hostOf } from './value-schemas.ts';

const LEAST_SECRET_LENGTH = 16;

/** Whether only processes of this machine reach that host. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Host of a URL that was checked before, without the brackets of an IPv6 address. */
export function hostOfUrl(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}

/** Where a process is and whom it talks to, as far as its settings say so. */
export interface Placement {
  readonly listen: string;
  readonly advertise: string | undefined;
  /** Hosts of whoever it must meet: etcd, or the resource managers. */
  readonly others: readonly string[];
  /** What these are, for the sentence. */
  readonly othersAre: string;
}

/** One sentence for each way in which the others could not reach a process that listens there. */
export function placementProblems(placement: Placement): FieldProblem[] {
  const { listen, advertise, others, othersAre } = placement;
  if (advertise === undefined && isWildcard(hostOf(listen))) {
    const detail = `--listen ${listen} is every interface: say with --advertise where others reach this process.`;
    return [{ field: 'advertise', detail }];
  }
  const shown = advertise ?? listen;
  const elsewhere = others.find((host) => !isLoopback(host));
  if (elsewhere === undefined || !isLoopback(hostOf(shown))) return [];
  const flag = advertise === undefined ? 'listen' : 'advertise';
  const detail = `--${flag} ${shown} is loopback, which nobody on another machine reaches, but ${othersAre} at ${elsewhere}.`;
  return [{ field: flag, detail }];
}

/**
 * The prover for the cluster's secret. Throws `INVALID` when the secret cannot be read or is too short, and off
 * loopback when there is none.
 */
export function proverOf(values: SettingValues<typeof SECRET_SETTINGS>, hosts: readonly string[]): Prover {
  const secret = secretOf(values);
  if (secret === null) {
    const elsewhere = hosts.find((host) => !isLoopback(host));
    if (elsewhere === undefined) return NO_SECRET;
    throw refused(`Without a secret of the cluster everything must be on loopback, but ${elsewhere} is not.`);
  }
  if (secret.length < LEAST_SECRET_LENGTH) {
    throw refused(`The secret of the cluster must have at least ${LEAST_SECRET_LENGTH} characters.`);
  }
  return secretProver(secret);
}

function secretOf(values: SettingValues<typeof SECRET_SETTINGS>): string | null {
  if (values.secretFile === undefined) return values.secret ?? null;
  try {
    return readFileSync(values.secretFile, 'utf8').trim();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw refused(`The secret of the cluster cannot be read: ${why}.`);
  }
}

function refused(detail: string): Error {
  return new QuartermasterError({ code: 'INVALID', detail, fields: [{ field: 'secretFile', detail }] });
}

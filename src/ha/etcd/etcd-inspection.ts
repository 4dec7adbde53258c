import type { CallOptions } from '@grpc/grpc-js';
import type { Etcd3 } from 'etcd3';
import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../coordination-store.ts';
import { connectTo, type EtcdTls } from './etcd-client.ts';
import { toStoreError } from './etcd-errors.ts';
import { EtcdLogin, type EtcdCredentials } from './etcd-login.ts';

/** What a member says of itself (etcd's `Maintenance.Status`). Ids are hexadecimal, as `etcdctl` prints them. */
export interface EtcdMemberStatus {
  readonly clusterId: string;
  readonly memberId: string;
  /** `0` when it knows no leader. */
  readonly leaderId: string;
  readonly version: string;
  readonly isLearner: boolean;
  readonly revision: bigint;
  readonly raftTerm: bigint;
  /** Entries that are committed and not applied yet. */
  readonly raftLag: number;
  readonly dbBytes: number;
  /** 0 from a version that does not tell. */
  readonly dbInUseBytes: number;
  /** Alarms and other trouble in etcd's own words. */
  readonly errors: readonly string[];
}

export interface EtcdInspectionOptions {
  /** Client URL without a trailing slash. */
  readonly endpoint: string;
  readonly clock: Clock;
  readonly tls?: EtcdTls | undefined;
  readonly credentials?: EtcdCredentials | undefined;
}

/**
 * Questions to one member that elections do not ask. Nothing is written; each call is sent once and settles within
 * its deadline, rejections are `StoreError`s.
 */
export class EtcdInspection {
  readonly #client: Etcd3;
  readonly #login: EtcdLogin;
  readonly #clock: Clock;
  readonly #endpoint: string;

  constructor({ endpoint, clock, tls, credentials }: EtcdInspectionOptions) {
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#client = connectTo(endpoint, tls);
    this.#login = new EtcdLogin(this.#client, clock, credentials);
  }

  /** How the member sees itself and its cluster. */
  status(timeoutMs: number): Promise<EtcdMemberStatus> {
    return this.#call(timeoutMs, async (options) => {
      const answer = await this.#client.maintenance.status(options);
      const { header } = answer;
      return {
        clusterId: hexadecimal(header.cluster_id),
        memberId: hexadecimal(header.member_id),
        leaderId: hexadecimal(answer.leader),
        version: answer.version,
        isLearner: answer.isLearner,
        revision: BigInt(header.revision),
        raftTerm: BigInt(answer.raftTerm),
        raftLag: Math.max(0, Number(BigInt(answer.raftIndex) - BigInt(answer.raftAppliedIndex))),
        dbBytes: Number(answer.dbSize),
        dbInUseBytes: Number(answer.dbSizeInUse),
        errors: answer.errors,
      };
    });
  }

  /** Whether the oldest revision has been compacted away, which proves that somebody compacts. Reads that one key. */
  hasCompacted(key: string, timeoutMs: number): Promise<boolean> {
    return this.#call(timeoutMs, async (options) => {
      try {
        await this.#client.kv.range({ key: Buffer.from(key), revision: '1', count_only: true }, options);
        return false;
      } catch (error) {
        if (toStoreError(error).kind === 'compacted') return true;
        throw error;
      }
    });
  }

  /** Releases the connections. */
  close(): void {
    this.#client.close();
  }

  #call<T>(timeoutMs: number, send: (options: CallOptions) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.schedule(timeoutMs, () =>
        reject(new StoreError('unknown-outcome', `${this.#endpoint} did not answer within ${timeoutMs} ms`)),
      );
      const dispatch = async (): Promise<T> => {
        const authorization = await this.#login.authorization();
        return send({ deadline: this.#clock.wallMs() + timeoutMs, ...authorization });
      };
      dispatch()
        .then(resolve, (error: unknown) => reject(toStoreError(error)))
        .finally(() => timer.cancel());
    });
  }
}

function hexadecimal(id: string): string {
  return BigInt(id).toString(16);
}

import type { Clock } from '../../runtime/clock.ts';
import { StoreError, type CoordinationStore } from '../coordination-store.ts';
import { connectTo, type EtcdTls } from './etcd-client.ts';
import { EtcdEndpoint } from './etcd-endpoint.ts';
import { EtcdLogin, type EtcdCredentials } from './etcd-login.ts';

export interface EtcdStoreOptions {
  /** Client URLs of the members, `http://host:port` or `https://host:port`, at least one. */
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  /** For `https` URLs; the certificates of the system count without it. */
  readonly tls?: EtcdTls | undefined;
  /** When etcd's authentication is on. */
  readonly credentials?: EtcdCredentials | undefined;
}

const URL_PATTERN = /^(https?):\/\/([^\s/]+:\d+)\/?$/;

/** The URL without a trailing slash; a `rejected` error when it is none, or would leave the certificates unused. */
function checkUrl(url: string, tls: EtcdTls | undefined): string {
  const [, scheme, authority] = URL_PATTERN.exec(url) ?? [];
  if (scheme === undefined || authority === undefined) {
    throw new StoreError('rejected', `An etcd endpoint must look like http://host:2379, but is ${url}.`);
  }
  if (tls !== undefined && scheme !== 'https') {
    throw new StoreError('rejected', `There are certificates for etcd, but ${url} does not use https.`);
  }
  return `${scheme}://${authority}`;
}

/** etcd, member by member; connects on first use. Wrong endpoints are a `rejected` StoreError of the constructor. */
export class EtcdCoordinationStore implements CoordinationStore {
  readonly endpoints: readonly [EtcdEndpoint, ...EtcdEndpoint[]];

  constructor(options: EtcdStoreOptions) {
    const [first, ...others] = options.endpoints.map((url) => {
      const checked = checkUrl(url, options.tls);
      const client = connectTo(checked, options.tls);
      const login = new EtcdLogin(client, options.clock, options.credentials);
      return new EtcdEndpoint(checked, client, login, options.clock);
    });
    if (first === undefined) throw new StoreError('rejected', 'There must be at least one etcd endpoint.');
    this.endpoints = [first, ...others];
  }

  close(): Promise<void> {
    for (const endpoint of this.endpoints) endpoint.close();
    return Promise.resolve();
  }
}

import { InterceptingCall, type Interceptor } from '@grpc/grpc-js';
import { Etcd3, type IOptions } from 'etcd3';
import { toStoreError } from './etcd-errors.ts';

/** Certificates for TLS in PEM; `ca` alone checks the server, `cert` and `key` also prove who we are. */
export interface EtcdTls {
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;

const PING_INTERVAL_MS = 5_000;
const PING_TIMEOUT_MS = 1_000;
const LARGEST_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Runs a call once. etcd3's own policies repeat writes and shut an endpoint out for seconds. The error is
 * classified here already, because etcd3 closes every connection of a client when it sees one of its own.
 */
class OncePolicy implements Policy {
  declare readonly _altReturn: never;
  readonly onSuccess: Policy['onSuccess'] = () => ({ dispose: () => {} });
  readonly onFailure: Policy['onFailure'] = () => ({ dispose: () => {} });
  readonly #signal = new AbortController().signal;

  async execute<T>(call: (context: { signal: AbortSignal }) => PromiseLike<T> | T): Promise<T> {
    try {
      return await call({ signal: this.#signal });
    } catch (error) {
      throw toStoreError(error);
    }
  }
}

/** Marks a stream with etcd's `WithRequireLeader`: a member that has lost its quorum ends it. */
export const requireLeader: Interceptor = (options, nextCall) =>
  new InterceptingCall(nextCall(options), {
    start: (metadata, listener, next) => {
      const marked = metadata.clone();
      marked.set('hasleader', 'true');
      next(marked, listener);
    },
  });

/** An etcd3 client of exactly one member that sends each call once. */
export function connectTo(url: string, tls: EtcdTls | undefined): Etcd3 {
  const policy = new OncePolicy();
  const options: IOptions = {
    hosts: url,
    faultHandling: { global: policy, host: () => policy },
    grpcOptions: {
      'grpc.keepalive_time_ms': PING_INTERVAL_MS,
      'grpc.keepalive_timeout_ms': PING_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
      'grpc.max_receive_message_length': LARGEST_ANSWER_BYTES,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_http_proxy': 0,
    },
  };
  if (tls !== undefined) {
    options.credentials = {
      rootCertificate: tls.ca,
      ...(tls.key !== undefined && { privateKey: tls.key }),
      ...(tls.cert !== undefined && { certChain: tls.cert }),
    };
  }
  return new Etcd3(options);
}

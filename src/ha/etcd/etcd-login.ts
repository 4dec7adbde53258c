import { InterceptingCall, type CallOptions, type Interceptor } from '@grpc/grpc-js';
import type { Etcd3 } from 'etcd3';
import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../coordination-store.ts';
import { toStoreError } from './etcd-errors.ts';

/** A user of etcd's own authentication. */
export interface EtcdCredentials {
  readonly username: string;
  readonly password: string;
}

const LOGIN_TIMEOUT_MS = 1_000;
/** What etcd says of a token that it has forgotten, or that is older than its set of users. */
const STALE = 'etcdserver: the token is stale';
const STALE_TOKEN = /invalid auth token|revision of auth store is old/;

/** Whether a call was refused for its token alone, which is forgotten by then: the next login gets another. */
export function isStaleToken(error: unknown): boolean {
  return error instanceof Error && error.message.includes(STALE);
}

/**
 * The token of one user at one member. etcd3's own login opens a connection for each token, with back-offs of up
 * to two minutes, and repeats calls without end when a token stays refused.
 */
export class EtcdLogin {
  readonly #client: Etcd3;
  readonly #clock: Clock;
  readonly #credentials: EtcdCredentials | undefined;
  #token: Promise<string> | null = null;

  constructor(client: Etcd3, clock: Clock, credentials: EtcdCredentials | undefined) {
    this.#client = client;
    this.#clock = clock;
    this.#credentials = credentials;
  }

  /** Logs in if need be; what it resolves to belongs into the options of the call. Every failure is definite. */
  async authorization(): Promise<Pick<CallOptions, 'interceptors'>> {
    if (this.#credentials === undefined) return {};
    this.#token ??= this.#logIn(this.#credentials);
    const pending = this.#token;
    try {
      return { interceptors: [this.#present(await pending, pending)] };
    } catch (error) {
      this.#forget(pending);
      const { kind, message } = toStoreError(error);
      // Whatever became of the login, the call itself has not been sent.
      const definite = kind === 'unknown-outcome' ? 'not-sent' : kind;
      throw new StoreError(definite, `login failed: ${message}`, { cause: error });
    }
  }

  async #logIn(credentials: EtcdCredentials): Promise<string> {
    const { username: name, password } = credentials;
    const deadline = this.#clock.wallMs() + LOGIN_TIMEOUT_MS;
    const { token } = await this.#client.auth.authenticate({ name, password }, { deadline });
    return token;
  }

  #forget(pending: Promise<string>): void {
    if (this.#token === pending) this.#token = null;
  }

  #present(token: string, pending: Promise<string>): Interceptor {
    return (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, _listener, next) => {
          const signed = metadata.clone();
          signed.set('token', token);
          next(signed, {
            onReceiveStatus: (status, pass) => {
              if (!STALE_TOKEN.test(status.details)) return pass(status);
              this.#forget(pending);
              // In other words than etcd's, which would make etcd3 repeat the call at once, again and again.
              pass({ ...status, details: STALE });
            },
          });
        },
      });
  }
}

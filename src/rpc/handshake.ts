import { CLUSTER_NAME_PATTERN } from '../core/ids.ts';
import type { ReplyBody, RequestBody } from '../core/messages/catalogue.ts';
import type { Role } from '../core/messages/handshake.ts';
import { agreedVersion, describeVersions, OWN_VERSIONS } from '../core/messages/protocol-version.ts';
import type { Problem } from '../core/problem.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Prover } from '../runtime/prover.ts';
import type { Randomness } from '../runtime/randomness.ts';
import type { Acceptor, CloseReason, Connection, Dialer } from './connection.ts';
import {
  MessageChannel,
  type ChannelHandler,
  type InboundNotification,
  type InboundRequest,
} from './message-channel.ts';

type Hello = RequestBody<'hello'>;
type Welcome = ReplyBody<'hello'>;

/** How a process presents itself on a connection. `instance` is new with each process: boot nonce or instance id. */
export interface Identity {
  readonly role: Role;
  readonly cluster: string;
  readonly id: string;
  readonly instance: string;
}

/** What both sides of a handshake need. */
export interface HandshakeContext {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly prover: Prover;
  readonly identity: Identity;
}

/** How long either side waits for the other's first words, in milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 5_000;

/** A longer frame before `hello`, in characters, is refused unread: nobody is known yet who may cost that much. */
const MAX_HELLO_FRAME_LENGTH = 16 * 1024;

/** A handler for a channel whose other side has said who it is; called once the `welcome` has been sent. */
export type ServeChannel = (channel: MessageChannel, hello: Hello) => ChannelHandler;

/**
 * Takes connections: answers `hello`, refuses a wrong cluster or version with a problem and ends it then,
 * refuses everything that comes before `hello`, and hands the rest to the handler that `serve` returns.
 */
export function acceptChannels(context: HandshakeContext, serve: ServeChannel): Acceptor {
  return (connection: Connection) => {
    let handler: ChannelHandler | null = null;
    const deadline = context.clock.schedule(HANDSHAKE_TIMEOUT_MS, () => {
      if (handler === null) channel.close({ code: 'NO_ANSWER', detail: 'There was no hello in time.' });
    });
    const channel: MessageChannel = new MessageChannel(connection, context.clock, {
      onRequest: (request: InboundRequest) => {
        if (handler !== null) return handler.onRequest(request);
        if (request.type !== 'hello') {
          return request.fail({
            code: 'UNAUTHORIZED',
            detail: 'The first request on a connection must be hello.',
          });
        }
        const problem = helloProblem(context, request.body);
        if (problem !== null) {
          request.fail(problem);
          return channel.close();
        }
        deadline.cancel();
        request.respond(welcome(context, request.body));
        handler = serve(channel, request.body);
      },
      onNotification: (notification: InboundNotification) => handler?.onNotification(notification),
      onClose: (reason: CloseReason) => {
        deadline.cancel();
        handler?.onClose(reason);
      },
    });
    return {
      onFrame: (frame) => {
        if (handler?.readIn !== undefined) return handler.readIn(() => channel.onFrame(frame));
        if (handler !== null || frame.length <= MAX_HELLO_FRAME_LENGTH) return channel.onFrame(frame);
        const detail = `Before hello a frame may have ${MAX_HELLO_FRAME_LENGTH} characters, this one has ${frame.length}.`;
        channel.close({ code: 'TOO_LARGE', detail });
      },
      onClose: (reason) => {
        if (handler?.readIn === undefined) channel.onClose(reason);
        else handler.readIn(() => channel.onClose(reason));
      },
    };
  };
}

function helloProblem(context: HandshakeContext, hello: Hello): Problem | null {
  if (hello.cluster !== context.identity.cluster) {
    const theirs = CLUSTER_NAME_PATTERN.test(hello.cluster) ? hello.cluster : '(not a cluster name)';
    return {
      code: 'WRONG_CLUSTER',
      detail: `This is cluster ${context.identity.cluster}, the caller belongs to ${theirs}.`,
    };
  }
  if (agreedVersion(hello, OWN_VERSIONS) === null) {
    const [theirs, ours] = [describeVersions(hello), describeVersions(OWN_VERSIONS)];
    return {
      code: 'UNSUPPORTED_VERSION',
      detail: `The caller speaks protocol version ${theirs}, ${context.identity.role} ${context.identity.id} speaks ${ours}.`,
    };
  }
  return null;
}

function welcome(context: HandshakeContext, hello: Hello): Welcome {
  const { identity } = context;
  const nonce = context.randomness.uuid();
  return {
    protocolVersion: agreedVersion(hello, OWN_VERSIONS) ?? OWN_VERSIONS.protocolVersion,
    cluster: identity.cluster,
    serverRole: identity.role,
    serverId: identity.id,
    serverInstance: identity.instance,
    nonce,
    proof: context.prover.prove({
      cluster: identity.cluster,
      serverRole: identity.role,
      serverId: identity.id,
      serverInstance: identity.instance,
      clientNonce: hello.nonce,
      serverNonce: nonce,
    }),
  };
}

/** What the side that dials is told. After `onFailed` or `onClose` nothing comes any more. */
export interface DialedChannelHandler extends ChannelHandler {
  /** The server has proved itself; from now on requests may be sent, and may come in. */
  onReady(channel: MessageChannel, welcome: Welcome): void;
}

/**
 * Dials, says hello and checks the server's proof before anything else is told to it. A server of another
 * cluster, role or without proof is hung up on; `onClose` says why.
 */
export function dialChannel(
  context: HandshakeContext,
  dialer: Dialer,
  address: string,
  serverRole: Role,
  handler: DialedChannelHandler,
): { close(): void } {
  let ready = false;
  let failure: Problem | null = null;
  const nonce = context.randomness.uuid();
  const onWelcome = (reply: Welcome): void => {
    failure = welcomeProblem(context, serverRole, nonce, reply);
    if (failure !== null) return channel.close();
    ready = true;
    handler.onReady(channel, reply);
  };
  const connection = dialer.dial(address, {
    onOpen: () => {
      const { role, cluster } = context.identity;
      channel.request('hello', { ...OWN_VERSIONS, role, cluster, nonce }, HANDSHAKE_TIMEOUT_MS, (outcome) => {
        if (outcome.ok) return onWelcome(outcome.reply);
        failure ??= outcome.problem;
        channel.close();
      });
    },
    onFrame: (frame) => channel.onFrame(frame),
    onClose: (reason) => channel.onClose(reason),
  });
  const channel: MessageChannel = new MessageChannel(connection, context.clock, {
    onRequest: (request) => {
      if (ready) return handler.onRequest(request);
      request.fail({ code: 'UNAUTHORIZED', detail: 'The server has not proved itself.' });
    },
    onNotification: (notification) => {
      if (ready) return handler.onNotification(notification);
      if (notification.type === 'problem') failure = notification.body;
    },
    onClose: (reason) => {
      handler.onClose(
        failure === null
          ? reason
          : { kind: reason.kind, detail: `${failure.code}: ${failure.detail}`, refusal: failure },
      );
    },
  });
  return { close: () => channel.close() };
}

function welcomeProblem(
  context: HandshakeContext,
  serverRole: Role,
  clientNonce: string,
  w: Welcome,
): Problem | null {
  if (w.cluster !== context.identity.cluster) {
    return { code: 'WRONG_CLUSTER', detail: `The server belongs to cluster ${w.cluster}.` };
  }
  if (w.serverRole !== serverRole) {
    return { code: 'UNAUTHORIZED', detail: `The server is a ${w.serverRole}, not a ${serverRole}.` };
  }
  if (agreedVersion(w, OWN_VERSIONS) !== w.protocolVersion) {
    const ours = describeVersions(OWN_VERSIONS);
    const detail = `The server answers in protocol version ${w.protocolVersion}, this process speaks ${ours}.`;
    return { code: 'UNSUPPORTED_VERSION', detail };
  }
  const { cluster, serverId, serverInstance, nonce: serverNonce } = w;
  const statement = { cluster, serverRole, serverId, serverInstance, clientNonce, serverNonce };
  if (!context.prover.verify(statement, w.proof)) {
    return {
      code: 'UNAUTHORIZED',
      detail: 'The server has not proved that it knows the secret of the cluster.',
    };
  }
  return null;
}

import type { Acceptor } from '../rpc/connection.ts';
import { acceptChannels, type HandshakeContext } from '../rpc/handshake.ts';
import type { InboundRequest, MessageChannel } from '../rpc/message-channel.ts';
import { SilentChannels } from '../rpc/silent-channels.ts';

/** What a job master asks a task executor. */
export type JobMasterRequest = Extract<
  InboundRequest,
  { readonly type: 'claimSlot' | 'renewLeases' | 'releaseLeases' }
>;

const MOST_CHANNELS = 10_000;

/**
 * Takes the connections of job masters, and passes on what they ask. Nobody who dials a task executor can
 * command it or show it a token. Who says nothing for `idleMs` is hung up on.
 */
export class JobMasterDoor {
  readonly acceptor: Acceptor;
  readonly #channels: SilentChannels;
  #closed = false;

  constructor(context: HandshakeContext, idleMs: number, onRequest: (request: JobMasterRequest) => void) {
    this.#channels = new SilentChannels(context.clock, idleMs);
    this.acceptor = acceptChannels(context, (channel, hello) => {
      if (this.#closed) channel.close({ code: 'UNAVAILABLE', detail: 'The task executor is going away.' });
      else if (hello.role !== 'job-master')
        channel.close({ code: 'FORBIDDEN', detail: `A task executor is not dialled by a ${hello.role}.` });
      else if (this.#channels.size >= MOST_CHANNELS)
        channel.close({ code: 'OVERLOADED', detail: `${MOST_CHANNELS} connections are open.` });
      else this.#channels.add(channel);
      return {
        onRequest: (request) => this.#receive(channel, request, onRequest),
        onNotification: () => {},
        onClose: () => this.#channels.remove(channel),
      };
    });
  }

  /** Hangs up on everybody and takes nobody any more. */
  close(): void {
    this.#closed = true;
    this.#channels.close({ code: 'UNAVAILABLE', detail: 'The task executor is going away.' });
  }

  #receive(
    channel: MessageChannel,
    request: InboundRequest,
    onRequest: (request: JobMasterRequest) => void,
  ): void {
    if (!this.#channels.heard(channel)) return;
    if (request.type === 'ping') request.respond({ state: 'worker', epoch: null });
    else if (
      request.type === 'claimSlot' ||
      request.type === 'renewLeases' ||
      request.type === 'releaseLeases'
    )
      onRequest(request);
    else request.fail({ code: 'FORBIDDEN', detail: `A job master may not ask ${request.type} here.` });
  }
}

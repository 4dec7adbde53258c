import type { RequestType } from '../../src/core/messages/catalogue.ts';
import type { Problem } from '../../src/core/problem.ts';
import { acceptChannels } from '../../src/rpc/handshake.ts';
import type { InMemoryNetwork } from '../../src/rpc/in-memory-network.ts';
import type { InboundRequest } from '../../src/rpc/message-channel.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { NO_SECRET } from '../../src/runtime/prover.ts';
import { SeededRandomness } from './testing-randomness.ts';

/** A task executor as a job master sees it: grants every claim and renewal unless the script says otherwise. */
export class TestingTaskExecutorServer {
  /** What comes instead of the ordinary answer; `silent` for none. */
  readonly script = new Map<RequestType, Problem | 'silent'>();
  durationMs = 30_000;
  readonly requests: InboundRequest[] = [];
  connections = 0;
  /** Connections over all. */
  accepted = 0;

  constructor(network: InMemoryNetwork, clock: Clock, address: string, resourceId: string) {
    const identity = {
      role: 'task-executor',
      cluster: 'c',
      id: resourceId,
      instance: `instance-of-${resourceId}`,
    } as const;
    const context = { clock, randomness: new SeededRandomness(2, address), prover: NO_SECRET, identity };
    network.listen(
      address,
      acceptChannels(context, () => {
        this.connections += 1;
        this.accepted += 1;
        return {
          onRequest: (request) => this.#onRequest(request),
          onNotification: () => {},
          onClose: () => {
            this.connections -= 1;
          },
        };
      }),
    );
  }

  received<T extends RequestType>(type: T): Extract<InboundRequest, { readonly type: T }>['body'][] {
    return this.requests.flatMap((request) => (request.type === type ? [request.body as never] : []));
  }

  #onRequest(request: InboundRequest): void {
    this.requests.push(request);
    const scripted = this.script.get(request.type);
    if (scripted === 'silent') return;
    if (scripted !== undefined) return request.fail(scripted);
    const { durationMs } = this;
    switch (request.type) {
      case 'claimSlot':
        return request.respond({ durationMs });
      case 'renewLeases': {
        const results = request.body.leases.map(({ allocationId }) => ({ allocationId, problem: null }));
        return request.respond({ durationMs, results });
      }
      case 'releaseLeases':
        return request.respond({});
      default:
        return request.fail({ code: 'INVALID', detail: `no ${request.type} here` });
    }
  }
}

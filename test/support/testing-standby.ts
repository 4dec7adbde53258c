import type { ClusterView } from '../../src/core/messages/handshake.ts';
import { acceptChannels } from '../../src/rpc/handshake.ts';
import type { InMemoryNetwork } from '../../src/rpc/in-memory-network.ts';
import { NO_SECRET } from '../../src/runtime/prover.ts';
import type { VirtualClock } from '../simulation/virtual-clock.ts';
import { SeededRandomness } from './testing-randomness.ts';

/** Another resource manager as a peer sees it: takes connections, and answers pings unless told not to. */
export class TestingStandby {
  view: ClusterView = { clusterId: null, candidates: [], leader: null };
  answersPings = true;
  introductions = 0;
  /** Connections that stand. */
  open = 0;

  constructor(clock: VirtualClock, network: InMemoryNetwork, id: string, address: string, bootNonce: string) {
    const identity = { role: 'resource-manager', cluster: 'c', id, instance: bootNonce } as const;
    const context = { clock, randomness: new SeededRandomness(1, id), prover: NO_SECRET, identity };
    const acceptor = acceptChannels(context, () => {
      this.open += 1;
      return {
        onRequest: (request) => {
          if (request.type === 'introduceResourceManager') {
            this.introductions += 1;
            request.respond(this.view);
          }
          if (request.type === 'ping' && this.answersPings)
            request.respond({ state: 'standby', epoch: null });
        },
        onNotification: () => {},
        onClose: () => {
          this.open -= 1;
        },
      };
    });
    network.listen(address, acceptor);
  }
}

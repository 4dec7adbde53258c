import { InMemoryNetwork } from '../../../src/rpc/in-memory-network.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import { describeTransport } from '../../contract/transport.contract.ts';

describeTransport('within one process', async (acceptor) => {
  const network = new InMemoryNetwork(new SystemClock());
  network.listen('server:1', acceptor);
  return {
    dialer: network.dialer('client:1'),
    address: 'server:1',
    deadAddress: 'nobody:1',
    crash: () => network.crash('server:1'),
    stop: async () => network.crash('server:1'),
  };
});

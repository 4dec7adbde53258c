import { expect } from 'chai';
import { createServer } from 'node:http';
import { listen, stopListening } from '../../../../src/cli/processes/listen.ts';
import { QuartermasterError } from '../../../../src/core/problem.ts';

describe('listening', () => {
  it('resolves to the address with the port that was given for 0', async () => {
    const server = createServer();
    expect(await listen(server, '127.0.0.1:0')).to.match(/^127\.0\.0\.1:[1-9]\d*$/);
    await stopListening(server);
    expect(server.listening).to.equal(false);
  });

  it('is refused with CONFLICT, in a sentence, where somebody else listens and where this machine is not', async () => {
    const server = createServer();
    const taken = await listen(server, '127.0.0.1:0');
    for (const [address, words] of [
      [taken, 'another process listens there'],
      ['192.0.2.1:7070', 'this machine has no such address'],
    ] as const) {
      let problem: unknown;
      await listen(createServer(), address).catch((error: unknown) => (problem = error));
      expect(problem).to.be.instanceOf(QuartermasterError);
      expect((problem as QuartermasterError).problem).to.deep.equal({
        code: 'CONFLICT',
        detail: `Nobody can listen at ${address}: ${words}.`,
      });
    }
    await stopListening(server);
  });
});

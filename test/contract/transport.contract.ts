import { expect } from 'chai';
import type { Acceptor, Dialer } from '../../src/rpc/connection.ts';
import { acceptChannels } from '../../src/rpc/handshake.ts';
import { MAX_FRAME_LENGTH } from '../../src/rpc/wire-format.ts';
import { NO_SECRET } from '../../src/runtime/prover.ts';
import { SystemClock } from '../../src/runtime/system-clock.ts';
import { eventually } from '../support/eventually.ts';
import { TestingConnectionListener } from '../support/testing-connection-listener.ts';
import { SeededRandomness } from '../support/testing-randomness.ts';

/** One transport with one listener on it. */
export interface TransportUnderTest {
  readonly dialer: Dialer;
  /** Where the acceptor listens. */
  readonly address: string;
  /** Where nobody listens. */
  readonly deadAddress: string;
  /** Ends the listening process without a word. */
  crash(): void;
  stop(): Promise<void>;
}

/** What every transport does, whatever it is made of. */
export function describeTransport(
  name: string,
  start: (acceptor: Acceptor) => Promise<TransportUnderTest>,
): void {
  describe(`the transport ${name}`, () => {
    let transport: TransportUnderTest;
    let accepted: TestingConnectionListener[];
    let override: Acceptor | null;

    beforeEach(async () => {
      accepted = [];
      override = null;
      transport = await start((connection) => {
        if (override !== null) return override(connection);
        const listener = new TestingConnectionListener();
        listener.connection = connection;
        accepted.push(listener);
        return listener;
      });
    });

    afterEach(() => transport.stop());

    function dial(address = transport.address): TestingConnectionListener {
      const listener = new TestingConnectionListener();
      listener.connection = transport.dialer.dial(address, listener);
      return listener;
    }

    async function dialOpen(): Promise<[TestingConnectionListener, TestingConnectionListener]> {
      const near = dial();
      await eventually('both sides have the connection', () => near.opened && accepted.length === 1);
      return [near, accepted[0]!];
    }

    it('says nothing to the dialler in the turn of the dial', () => {
      const near = dial();
      expect([near.opened, near.closes]).to.deep.equal([false, []]);
      near.connection!.close('enough');
    });

    it('delivers frames in order, in both directions', async () => {
      const [near, far] = await dialOpen();
      const sent = Array.from({ length: 500 }, (_, index) => `frame ${index}`);
      for (const frame of sent) {
        near.connection!.send(frame);
        far.connection!.send(frame);
      }
      await eventually('all arrived', () => near.frames.length === 500 && far.frames.length === 500);
      expect(near.frames).to.deep.equal(sent);
      expect(far.frames).to.deep.equal(sent);
    });

    it('delivers a frame of eight million characters, some of them outside of ASCII, unharmed', async () => {
      const [near, far] = await dialOpen();
      const frame = 'Übergröße€'.repeat(800_000);
      near.connection!.send(frame);
      await eventually('the frame arrived', () => far.frames.length === 1);
      expect(far.frames[0] === frame).to.equal(true);
    });

    it('delivers what was sent before a close, then closes with `closed` there and `local` here', async () => {
      const [near, far] = await dialOpen();
      near.connection!.send('last words');
      near.connection!.close('done');
      near.connection!.send('never');
      await eventually('both are told', () => near.closes.length > 0 && far.closes.length > 0);
      expect(far.frames).to.deep.equal(['last words']);
      expect(near.closes).to.deep.equal([{ kind: 'local', detail: 'done' }]);
      expect(far.closes).to.deep.equal([{ kind: 'closed', detail: 'done' }]);
    });

    it('tells the end once, however often it is closed, and delivers nothing after it', async () => {
      const [near, far] = await dialOpen();
      near.connection!.close('one');
      near.connection!.close('two');
      far.connection!.send('too late');
      far.connection!.close('three');
      await eventually('both are told', () => near.closes.length > 0 && far.closes.length > 0);
      await new Promise((resolve) => setImmediate(resolve));
      expect([near.closes.length, far.closes.length, near.frames.length]).to.deep.equal([1, 1, 0]);
    });

    it('does not open a dial that was closed before it stood', async () => {
      const near = dial();
      near.connection!.close('changed my mind');
      await eventually('the end is told', () => near.closes.length > 0);
      expect(near.closes[0]!.kind).to.equal('local');
      expect(near.opened).to.equal(false);
    });

    it('ends with `refused`, without having opened, where nobody listens', async () => {
      const near = dial(transport.deadAddress);
      await eventually('the end is told', () => near.closes.length > 0);
      expect(near.closes.map((reason) => reason.kind)).to.deep.equal(['refused']);
      expect(near.opened).to.equal(false);
    });

    it('ends with `reset` when the other process ends without a word, and is refused afterwards', async () => {
      const [near] = await dialOpen();
      transport.crash();
      await eventually('the end is told', () => near.closes.length > 0);
      expect(near.closes.map((reason) => reason.kind)).to.deep.equal(['reset']);
      const again = dial();
      await eventually('the second end is told', () => again.closes.length > 0);
      expect(again.closes.map((reason) => reason.kind)).to.deep.equal(['refused']);
    });

    it('drops frames sent after the other side has ended it', async () => {
      const [near, far] = await dialOpen();
      far.connection!.close('bye');
      await eventually('the end is told', () => near.closes.length > 0);
      near.connection!.send('anybody there?');
      expect(near.connection!.bufferedBytes).to.equal(0);
    });

    it('answers a frame with too many characters with TOO_LARGE and one that is no JSON with INVALID', async () => {
      override = acceptChannels(
        {
          clock: new SystemClock(),
          randomness: new SeededRandomness(1),
          prover: NO_SECRET,
          identity: { role: 'resource-manager', cluster: 'c', id: 'rm', instance: 'i' },
        },
        () => ({ onRequest: () => {}, onNotification: () => {}, onClose: () => {} }),
      );
      for (const [frame, code] of [
        ['x'.repeat(MAX_FRAME_LENGTH + 1), 'TOO_LARGE'],
        ['{ not json', 'INVALID'],
      ] as const) {
        const near = dial();
        await eventually('it stands', () => near.opened);
        near.connection!.send(frame);
        await eventually('it was ended', () => near.closes.length > 0);
        expect(near.closes[0]!.kind).to.equal('closed');
        expect(near.frames.join()).to.contain(`"code":"${code}"`);
      }
    });
  });
}

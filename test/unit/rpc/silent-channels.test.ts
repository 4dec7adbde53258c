import { expect } from 'chai';
import type { Clock } from '../../../src/runtime/clock.ts';
import type { Connection } from '../../../src/rpc/connection.ts';
import { MessageChannel } from '../../../src/rpc/message-channel.ts';
import { SilentChannels } from '../../../src/rpc/silent-channels.ts';
import { VirtualClock } from '../../simulation/virtual-clock.ts';

describe('silent channels', () => {
  let clock: VirtualClock;
  let channels: SilentChannels;
  let ended: string[];

  beforeEach(() => {
    clock = new VirtualClock();
    channels = new SilentChannels(clock, 1_000);
    ended = [];
  });

  function open(peer: string): MessageChannel {
    const connection: Connection = {
      peer,
      bufferedBytes: 0,
      send: () => {},
      close: (detail) => {
        ended.push(`${peer} ${detail}`);
        channel.onClose({ kind: 'local', detail });
      },
    };
    const channel: MessageChannel = new MessageChannel(connection, clock, {
      onRequest: () => {},
      onNotification: () => {},
      onClose: () => channels.remove(channel),
    });
    channels.add(channel);
    return channel;
  }

  it('are hung up on, and those over which something comes are not', async () => {
    open('silent');
    const busy = open('busy');
    for (let ms = 0; ms < 4_000; ms += 500) {
      await clock.advance(500);
      expect(channels.heard(busy)).to.equal(true);
    }
    expect(ended).to.deep.equal(['silent NO_ANSWER']);
    expect(channels.size).to.equal(1);
  });

  it('are not hung up on after a standstill of this process', () => {
    const callbacks: (() => void)[] = [];
    let nowMs = 0;
    const stopped: Clock = {
      monotonicMs: () => nowMs,
      wallMs: () => nowMs,
      schedule: (_delayMs, callback) => {
        callbacks.push(callback);
        return { cancel: () => {} };
      },
    };
    channels = new SilentChannels(stopped, 1_000);
    open('a');
    nowMs = 60_000;
    callbacks.shift()?.();
    expect(ended).to.deep.equal([]);
    nowMs = 61_000;
    callbacks.shift()?.();
    expect(ended).to.deep.equal(['a NO_ANSWER']);
  });

  it('are all hung up on at the end, and watched no more', async () => {
    const channel = open('a');
    open('b');
    channels.close({ code: 'UNAVAILABLE', detail: 'going away' });
    expect(ended).to.deep.equal(['a UNAVAILABLE', 'b UNAVAILABLE']);
    expect(channels.heard(channel)).to.equal(false);
    await clock.advance(5_000);
    expect(ended).to.have.length(2);
  });
});

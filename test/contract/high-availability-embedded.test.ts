import { EmbeddedHighAvailability } from '../../src/ha/embedded/embedded-high-availability.ts';
import { settle, VirtualClock } from '../simulation/virtual-clock.ts';
import { describeHighAvailability } from './high-availability.contract.ts';
import { type HighAvailabilityUnderTest, TEST_TIMING } from './high-availability-under-test.ts';

const LIMIT_MS = 20_000;

function startEmbedded(): Promise<HighAvailabilityUnderTest> {
  const clock = new VirtualClock();
  const embedded = new EmbeddedHighAvailability({ clock });

  /** Steps until the condition holds. Its own reads of the store need steps too, so it is never just awaited. */
  const until = async (
    what: string,
    condition: () => boolean | Promise<boolean>,
    limitMs = LIMIT_MS,
  ): Promise<void> => {
    const endMs = clock.monotonicMs() + limitMs;
    while (!(await condition())) {
      if (!(await clock.step(endMs))) throw new Error(`${what}: not within ${limitMs} ms`);
    }
  };

  const answer = async <T>(call: Promise<T>): Promise<T> => {
    let settled = false;
    void call
      .catch(() => null)
      .then(() => {
        settled = true;
      });
    await settle();
    await until('an answer', () => settled, 60_000);
    return call;
  };

  return Promise.resolve({
    clock,
    timing: TEST_TIMING,
    services: (options) => embedded.services(options),
    operator: () => embedded.etcd.connect('operator'),
    until,
    answer,
    stop: () => Promise.resolve(),
  });
}

describeHighAvailability('the embedded store', startEmbedded);

import { appendFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

// Loaded into a resource manager before its program (`--import`): adds `AT LAG` to the file that LOOP_LAG_FILE names, every
// quarter of a second: the time of day, and the longest wait of its loop since the line before, in ms.

const EVERY_MS = 250;
const RESOLUTION_MS = 5;
const file = process.env['LOOP_LAG_FILE'];
if (file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  setInterval(() => {
    appendFileSync(file, `${Date.now()} ${(delay.max / 1e6 - RESOLUTION_MS).toFixed(1)}\n`);
    delay.reset();
  }, EVERY_MS).unref();
}

import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { ResourceId } from '../../../src/core/ids.ts';
import { DEFAULT_TIMING } from '../../../src/core/timing.ts';
import { WebSocketAcceptor } from '../../../src/rpc/websocket/web-socket-acceptor.ts';
import { WebSocketDialer } from '../../../src/rpc/websocket/web-socket-dialer.ts';
import type { Logger } from '../../../src/runtime/logger.ts';
import { NO_SECRET } from '../../../src/runtime/prover.ts';
import { SystemClock } from '../../../src/runtime/system-clock.ts';
import { SystemRandomness } from '../../../src/runtime/system-randomness.ts';
import { TaskExecutor } from '../../../src/taskexecutor/task-executor.ts';

// Many task executors in one process, each with a connection to every resource manager. Job masters reach each at a loopback
// address of its own, so that one listening socket serves all. Says on standard output, ten times a second when it changed:
// `registered TOKEN COUNT FIRST LAST`, how many have registered under the newest token, and the times of day of the first and the last.
// Arguments: resource managers, number of this fleet, how many, slots of each, how many to start in a second.

const CLUSTER = 'bench';
const SAY_EVERY_MS = 100;
const START_EVERY_MS = 50;

const [addresses = '', fleetText = '', countText = '', slotsText = '', rateText = ''] = process.argv.slice(2);
const fleet = Number(fleetText);
const count = Number(countText);
const perStep = Math.max(1, Math.round((Number(rateText) * START_EVERY_MS) / 1_000));

const clock = new SystemClock();
const randomness = new SystemRandomness();
const dialer = new WebSocketDialer(clock);
const servers = new Map<string, ReturnType<typeof createHttpServer>>();
const registered = new Map<string, { count: number; firstMs: number; lastMs: number }>();
let newest = '';

const logger: Logger = {
  log: (level, event, fields) => {
    if (event === 'registered') noteRegistered(String(fields?.['token']));
    else if (level === 'error') process.stderr.write(`${event} ${JSON.stringify(fields)}\n`);
  },
  child: () => logger,
};

function noteRegistered(token: string): void {
  const nowMs = performance.timeOrigin + performance.now();
  const entry = registered.get(token) ?? { count: 0, firstMs: nowMs, lastMs: nowMs };
  entry.count += 1;
  entry.lastMs = nowMs;
  registered.set(token, entry);
  newest = token;
}

function startOne(index: number, port: number): void {
  const host = `127.${10 + fleet}.${index >> 8}.${index & 255}`;
  const executor = new TaskExecutor({
    identity: { cluster: CLUSTER, resourceId: `te-${fleet}-${index}` as ResourceId },
    address: `${host}:${port}`,
    seeds: addresses.split(','),
    slots: Array.from({ length: Number(slotsText) }, () => ({ cpuCores: 1, memoryMB: 1, extended: {} })),
    provider: null,
    clock,
    randomness,
    logger,
    timing: DEFAULT_TIMING,
    dialer,
    prover: NO_SECRET,
    stateStore: null,
    slotsDieWithProcess: true,
    onFatal: (error) => process.stderr.write(`te-${fleet}-${index}: ${error.message}\n`),
  });
  const server = createHttpServer();
  new WebSocketAcceptor(clock, executor.acceptor()).attach(server);
  servers.set(host, server);
  void executor.start();
}

// The address that was dialled tells who is meant.
const door = createServer((socket: Socket) => {
  const server = servers.get(socket.localAddress ?? '');
  if (server === undefined) socket.destroy();
  else server.emit('connection', socket);
});
door.listen(0, '0.0.0.0', () => {
  const bound = door.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  let next = 0;
  const timer = setInterval(() => {
    for (let n = 0; n < perStep && next < count; n += 1) startOne(next++, port);
    if (next === count) clearInterval(timer);
  }, START_EVERY_MS);
});

let said = '';
setInterval(() => {
  const entry = registered.get(newest);
  if (entry === undefined) return;
  const line = `registered ${newest} ${entry.count} ${entry.firstMs} ${entry.lastMs}`;
  if (line !== said) process.stdout.write(`${line}\n`);
  said = line;
}, SAY_EVERY_MS);

import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { PROBLEM_MEDIA_TYPE, problemDetails } from './problem-details.ts';

/** Bounds against clients that open connections and then say nothing, in milliseconds and connections. */
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const MOST_HEADERS = 100;

/**
 * Sets the time limits of a server and answers what is not even HTTP with a problem. Connections that were
 * upgraded to WebSocket are not touched by either.
 */
export function limitServer(server: Server): void {
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.maxHeadersCount = MOST_HEADERS;
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
    const code = tooLarge ? 'TOO_LARGE' : 'INVALID';
    const detail = tooLarge ? 'The head of the request is too large.' : 'This is not an HTTP request.';
    const body = JSON.stringify(problemDetails({ code, detail }));
    const status = tooLarge ? '413 Content Too Large' : '400 Bad Request';
    socket.end(
      `HTTP/1.1 ${status}\r\nContent-Type: ${PROBLEM_MEDIA_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      () => socket.destroy(),
    );
  });
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PROBLEM_CODES, type Problem } from '../../src/core/problem.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A web server on a free loopback port that answers as a test says and writes down what it is asked. */
export class TestingHttpServer {
  readonly requests: string[] = [];
  handler: Handler = (_request, response) => response.end('{}');
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.requests.push(`${request.method} ${request.url}`);
      this.handler(request, response);
    });
  }

  static async start(): Promise<TestingHttpServer> {
    const server = new TestingHttpServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Answers every request with this JSON. */
  answer(value: unknown, status = 200): void {
    this.handler = (_request, response) => {
      response.statusCode = status;
      response.end(JSON.stringify(value));
    };
  }

  /** Answers every request with this problem. */
  refuse(problem: Problem): void {
    this.answer(problem, PROBLEM_CODES[problem.code].status);
  }

  /** Breaks every connection, and takes no more. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';

/** An `ip -batch` that waits within one namespace, so that a link is cut at once and not after a process has started. */
export class IpBatch {
  readonly #namespace: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #gone: Promise<void>;
  #closing = false;
  #failure: string | null = null;

  constructor(ip: string, namespace: string) {
    this.#namespace = namespace;
    const args = ['-n', namespace, '-batch', '-'];
    this.#child = spawn(ip, args, { stdio: ['pipe', 'pipe', 'pipe'], env: {}, detached: true });
    let complaint = '';
    this.#child.stdout.resume();
    this.#child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
    this.#child.stdin.on('error', () => {});
    this.#gone = new Promise((resolve) => {
      const end = (why: string): void => {
        if (!this.#closing) this.#failure ??= `ip in ${this.#namespace} ended: ${why.trim()}`;
        resolve();
      };
      this.#child.once('error', (error) => end(error.message));
      this.#child.once('close', () => end(complaint));
    });
  }

  /** Why it ended although nobody had closed it: a command failed; null while it has not. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Hands one command over in this turn; they are carried out in order. */
  run(command: string): void {
    this.#child.stdin.write(`${command}\n`);
  }

  /** Resolves when all commands are done and the process is gone. */
  close(): Promise<void> {
    this.#closing = true;
    this.#child.stdin.end();
    return this.#gone;
  }
}

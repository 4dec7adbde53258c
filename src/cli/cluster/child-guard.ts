import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Reads orders from its standard input and waits. When that input ends without "done", whoever held the other
 * end is gone, even by SIGKILL: then it kills the processes it knows and removes the folder it was given.
 */
const SCRIPT = `
pids=' '
while read -r order argument; do
  case "$order" in
    add) pids="$pids$argument " ;;
    remove) pids=$(printf '%s' "$pids" | sed "s/ $argument / /") ;;
    done) exit 0 ;;
  esac
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
if [ -n "$1" ]; then
  rm -rf "$1" || { sleep 1; rm -rf "$1"; }
fi
`;

/**
 * Sees to it that child processes do not outlive this one: a small shell at the other end of a pipe, which the
 * kernel closes however this process ends. Best effort: nobody guards the guard.
 */
export class ChildGuard {
  readonly #shell: ChildProcess;

  /** The folder, if any, is removed when this process dies without `release`. */
  constructor(folderToRemove?: string) {
    // A session of its own, so that Ctrl-C on the terminal does not end the guard first.
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'guard', folderToRemove ?? ''], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#shell.unref();
    this.#shell.on('error', () => {});
    this.#shell.stdin?.on('error', () => {});
  }

  /** From now on this process dies with us. */
  add(pid: number): void {
    this.#shell.stdin?.write(`add ${pid}\n`);
  }

  /** To be called when the process has ended, as its number may be given to another. */
  remove(pid: number): void {
    this.#shell.stdin?.write(`remove ${pid}\n`);
  }

  /** Ends the guard without harming anybody; resolves when it is gone. */
  async release(): Promise<void> {
    const shell = this.#shell;
    if (shell.exitCode !== null || shell.signalCode !== null || shell.pid === undefined) return;
    const gone = new Promise<void>((resolve) => shell.once('exit', () => resolve()));
    shell.ref();
    shell.stdin?.end('done\n');
    await gone;
  }
}

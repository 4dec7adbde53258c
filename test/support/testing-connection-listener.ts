import type { CloseReason, Connection, DialListener } from '../../src/rpc/connection.ts';

/** One side of a connection that writes down all that it is told, in order. */
export class TestingConnectionListener implements DialListener {
  opened = false;
  readonly frames: string[] = [];
  readonly closes: CloseReason[] = [];
  /** Set by whoever made the connection. */
  connection: Connection | null = null;

  onOpen(): void {
    this.opened = true;
  }

  onFrame(frame: string): void {
    this.frames.push(frame);
  }

  onClose(reason: CloseReason): void {
    this.closes.push(reason);
  }
}

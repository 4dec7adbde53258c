const MOST_BYTES = 64 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');
const TEXT_FRAME = 0x81;

/** Who dialled: a worker by its role, a resource manager by its id. */
export type Dialler = string;

/**
 * Reads the first bytes that a dialler sends, an HTTP upgrade and then masked WebSocket frames, until they say who it
 * is. Whoever says nothing of the kind, such as a plain HTTP client, is `other`.
 */
export class FrameSniffer {
  #bytes: Buffer = Buffer.alloc(0);
  #upgraded = false;
  #found: Dialler | null = null;

  /** Takes what came next; who it is once that is known, else null. */
  take(chunk: Buffer): Dialler | null {
    if (this.#found !== null) return this.#found;
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length > MOST_BYTES) return this.#is('other');
    if (!this.#upgraded) {
      const end = this.#bytes.indexOf(HEAD_END);
      if (end === -1) return null;
      if (!/^upgrade:\s*websocket/im.test(this.#bytes.subarray(0, end).toString('latin1'))) {
        return this.#is('other');
      }
      this.#upgraded = true;
      this.#bytes = this.#bytes.subarray(end + HEAD_END.length);
    }
    for (let text = this.#frame(); text !== null; text = this.#frame()) {
      const role = /"role":"(task-executor|job-master)"/.exec(text)?.[1];
      if (role !== undefined) return this.#is(role);
      const id = /"introduceResourceManager".*?"resourceManagerId":"([^"]+)"/.exec(text)?.[1];
      if (id !== undefined) return this.#is(id);
    }
    return null;
  }

  #is(who: Dialler): Dialler {
    this.#bytes = Buffer.alloc(0);
    this.#found = who;
    return who;
  }

  /** The text of the next whole frame, empty for a frame without text; null when none is complete. */
  #frame(): string | null {
    const bytes = this.#bytes;
    if (bytes.length < 2) return null;
    const short = (bytes[1] ?? 0) & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const start = 2 + lengthBytes + 4;
    if (bytes.length < start) return null;
    const length =
      lengthBytes === 0
        ? short
        : lengthBytes === 2
          ? bytes.readUInt16BE(2)
          : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < start + length) return null;
    const mask = bytes.subarray(start - 4, start);
    const payload = Buffer.from(bytes.subarray(start, start + length));
    for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index % 4] ?? 0);
    this.#bytes = bytes.subarray(start + length);
    return bytes[0] === TEXT_FRAME ? payload.toString('utf8') : '';
  }
}

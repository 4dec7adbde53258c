import { request } from 'undici';

/** One server-sent event as it came. */
export interface SentEvent {
  readonly event: string;
  readonly data: unknown;
  readonly id?: string;
}

/** Reads server-sent events one by one; `next` resolves to null at the end of the stream. */
export class EventReader {
  readonly status: number;
  readonly #body: AsyncIterator<Buffer>;
  readonly #cut: AbortController;
  #text = '';

  private constructor(status: number, body: AsyncIterator<Buffer>, cut: AbortController) {
    this.status = status;
    this.#body = body;
    this.#cut = cut;
  }

  static async open(url: string, headers: Record<string, string> = {}): Promise<EventReader> {
    const cut = new AbortController();
    const { statusCode, body } = await request(url, { headers, signal: cut.signal });
    return new EventReader(statusCode, body[Symbol.asyncIterator]() as AsyncIterator<Buffer>, cut);
  }

  /** The next block of lines, comments too; null at the end. */
  async nextBlock(): Promise<string | null> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        return block;
      }
      const { done, value } = await this.#body.next();
      if (done === true) return null;
      this.#text += value.toString();
    }
  }

  /** The next event; comments are passed over. */
  async next(): Promise<SentEvent | null> {
    for (;;) {
      const block = await this.nextBlock();
      if (block === null) return null;
      if (block.startsWith(':')) continue;
      const fields = Object.fromEntries(
        block
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      const { event = '', data = '', id } = fields;
      return { event, data: JSON.parse(data), ...(id === undefined ? {} : { id }) };
    }
  }

  close(): void {
    this.#cut.abort();
  }
}

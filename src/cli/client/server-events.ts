/** One server-sent event: its name (`message` when it has none) and its data. */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

const MOST_LINE_CHARACTERS = 1024 * 1024;

/** The events of a `text/event-stream`, as far as its lines go; comments and ids are left out. */
export async function* serverEvents(body: AsyncIterable<Buffer>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let event = 'message';
  let data: string[] = [];
  for await (const part of body) {
    rest += decoder.decode(part, { stream: true });
    if (rest.length > MOST_LINE_CHARACTERS) throw new Error('the stream has a line without an end');
    // A return at the very end may be half of an end of line.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { event, data: data.join('\n') };
        event = 'message';
        data = [];
      } else if (line.startsWith('event:')) {
        event = line.slice('event:'.length).trim();
      } else if (line.startsWith('data:')) {
        data.push(line.slice('data:'.length).trimStart());
      }
    }
  }
}

import winston from 'winston';
import type { LogFields, Logger, LogLevel } from './logger.ts';

/** One JSON object per line, or text for people. */
export type LogFormat = 'json' | 'text';

export interface WinstonLoggerOptions {
  /** Where lines go; never closed by the logger. */
  readonly stream: NodeJS.WritableStream;
  readonly format: LogFormat;
  /** Lines below it are not written. */
  readonly level: LogLevel;
  /** Added to every line: the role of the process and its id. */
  readonly fields?: LogFields;
  /** Asked at every line: what changes in the life of the process, such as epoch and leader session id. */
  readonly context?: () => LogFields;
}

interface Line {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

/**
 * The log of a process: one line per event with its time (UTC), level, event, the fields of the process, those
 * of the moment, and its own, in this order; a later field of the same name wins.
 */
export class WinstonLogger implements Logger {
  readonly #sink: winston.Logger;
  readonly #fields: LogFields;
  readonly #context: () => LogFields;

  private constructor(sink: winston.Logger, fields: LogFields, context: () => LogFields) {
    this.#sink = sink;
    this.#fields = fields;
    this.#context = context;
  }

  static to(options: WinstonLoggerOptions): WinstonLogger {
    const render = options.format === 'json' ? jsonLine : textLine;
    const sink = winston.createLogger({
      level: options.level,
      levels: { error: 0, warn: 1, info: 2, debug: 3 },
      format: winston.format.combine(
        winston.format.timestamp(),
        winston.format.printf((info) => render(String(info['timestamp']), info['line'] as Line)),
      ),
      transports: [new winston.transports.Stream({ stream: options.stream })],
      exitOnError: false,
    });
    return new WinstonLogger(sink, options.fields ?? {}, options.context ?? (() => ({})));
  }

  log(level: LogLevel, event: string, fields: LogFields = {}): void {
    const line: Line = { level, event, fields: { ...this.#fields, ...this.#context(), ...fields } };
    this.#sink.log({ level, message: event, line });
  }

  child(fields: LogFields): Logger {
    return new WinstonLogger(this.#sink, { ...this.#fields, ...fields }, this.#context);
  }
}

function jsonLine(time: string, line: Line): string {
  const { level, event, fields } = line;
  // Twice: first for the order, last so that no field can say otherwise.
  const head = { time, level, event };
  const whole = { ...head, ...fields, ...head };
  return JSON.stringify(whole, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}

function textLine(time: string, line: Line): string {
  const clockTime = time.slice(11, 23);
  const fields = Object.entries(line.fields).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [`${name}=${textOf(value)}`],
  );
  return [clockTime, line.level.padEnd(5), line.event, ...fields].join(' ');
}

/** Bare where it can be read as one word, else quoted, so that a line stays a line. */
function textOf(value: string | number | bigint | boolean): string {
  const text = String(value);
  return /^[\w./:@+-]+$/.test(text) ? text : JSON.stringify(text);
}

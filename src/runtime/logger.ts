/** What an event is about, as flat fields; bigints are written as decimal strings. */
export type LogFields = Readonly<Record<string, string | number | bigint | boolean | null | undefined>>;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** The only door to the log: one line per event. */
export interface Logger {
  log(level: LogLevel, event: string, fields?: LogFields): void;
  /** A logger that adds these fields to each of its lines. */
  child(fields: LogFields): Logger;
}

/** Writes nothing. */
export const SILENT_LOGGER: Logger = {
  log: () => {},
  child: () => SILENT_LOGGER,
};

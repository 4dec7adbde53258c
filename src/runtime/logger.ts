/** What an event is about, as flat fields; bigints are written as decimal strings. */
export type LogFields = Readonly<Record<string, string | number | bigint | boolean | null | undefined>>;

/** Each level, from the most talkative to the most severe. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

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

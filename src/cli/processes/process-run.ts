import type { FatalHandler } from '../../runtime/fatal.ts';
import type { LogFields, Logger } from '../../runtime/logger.ts';
import { WinstonLogger } from '../../runtime/winston-logger.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import type { LOG_SETTINGS } from '../settings/common-settings.ts';
import type { SettingValues } from '../settings/setting.ts';

/** What every long-running process of the cluster has. */
export interface ProcessRun {
  readonly logger: Logger;
  /** The one way to a sudden end: logs the error and ends the process with code 1. */
  readonly onFatal: FatalHandler;
}

/**
 * The log of a process and its fatal handler, to which errors that nobody has caught go too: what is left in
 * memory after one could not be trusted. `moment` is asked at each line.
 */
export function startProcess(
  context: CommandContext,
  values: SettingValues<typeof LOG_SETTINGS>,
  fields: LogFields,
  moment: () => LogFields = () => ({}),
): ProcessRun {
  const logger = WinstonLogger.to({
    stream: context.logStream,
    format: values.logFormat ?? (context.isTerminal ? 'text' : 'json'),
    level: values.logLevel,
    fields,
    context: moment,
  });
  let ending = false;
  const onFatal: FatalHandler = (error) => {
    if (ending) return;
    ending = true;
    logger.log('error', 'process-failed', { error: error.message, stack: error.stack });
    context.exit(EXIT_CODES.failed);
  };
  context.onUncaught(onFatal);
  return { logger, onFatal };
}

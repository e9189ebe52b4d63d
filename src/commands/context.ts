import { UnavailableError, UsageError } from '../errors.ts';
import { type OpenLog, openLog } from '../observe/log.ts';
import type { Logger } from '../observe/logger.ts';
import { jsonLine } from '../observe/json-line.ts';
import { Outages } from '../observe/outages.ts';
import { Screen } from '../observe/screen.ts';
import { type LoadOptions, loadSettings } from '../settings/load.ts';
import { secretsOf } from '../settings/secrets.ts';
import { secretRemover } from '../plain-text.ts';
import type { LogSettings, Settings } from '../settings/types.ts';
import { isJsonFormat } from './console-format.ts';
import { listenForSignals } from './shutdown.ts';

/** What every command gets. */
export interface CommandContext {
  /** Of the program. */
  version: string;
  settings: Settings;
  logger: Logger;
  outages: Outages;
  /** Aborted when the program is asked to stop. */
  signal: AbortSignal;
  /** The terminal, where people read the log on one. */
  screen: Screen | null;
  /** A line of results, on stdout as it is. */
  print: (line: string) => void;
  /** A sentence about the work, on stdout; a record where LOG_FORMAT=json asks for it. */
  say: (sentence: string, fields?: Readonly<Record<string, unknown>>) => void;
}

export interface CommandOptions extends Pick<LoadOptions, 'need' | 'alsoNeeds'> {
  version: string;
  /** As it is called, for its log file. */
  command: string;
  config: string | null;
  /** Exit code where a stop finds more to send. */
  stoppedExitCode?: number;
}

/** Reads the settings, opens the log, and runs a command's body; returns its exit code. */
export async function runCommand(
  options: CommandOptions,
  body: (context: CommandContext) => Promise<number>,
): Promise<number> {
  const strangers: string[] = [];
  const settings = loadSettings({
    env: process.env,
    directory: process.cwd(),
    configFile: options.config,
    need: options.need,
    onStranger: (sentence) => strangers.push(sentence),
    ...(options.alsoNeeds === undefined ? {} : { alsoNeeds: options.alsoNeeds }),
  });
  const secrets = secretsOf(settings);
  const withoutSecrets = secretRemover(secrets);
  const isJson = isJsonFormat(settings.log.format);
  const screen = !isJson && process.stderr.isTTY ? new Screen(process.stderr) : null;
  const file = logFile(settings.log, options.command);
  await using log = openLog({ ...settings.log, file }, { isPretty: !isJson, screen }, secrets);
  using outages = new Outages(log.logger);
  using _crash = onCrash((error) => {
    log.logger.fatal({ err: error }, 'unexpected error');
    void closeAndExit(log);
  });
  using shutdown = listenForSignals(
    (name) => log.logger.info(`${name}: stopping; once more stops at once`),
    options.stoppedExitCode ?? 0,
  );
  for (const sentence of strangers) log.logger.warn(sentence);
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const say: CommandContext['say'] = (sentence, fields = {}) => {
    const isRecord = settings.log.format === 'json';
    process.stdout.write(isRecord ? jsonLine('info', sentence, fields) : `${sentence}\n`);
  };
  try {
    return await body({
      version: options.version,
      settings,
      logger: log.logger,
      outages,
      signal: shutdown.signal,
      screen,
      print,
      say,
    });
  } catch (error) {
    if (isExpected(error)) log.logger.debug(`ends: ${error.message}`);
    else log.logger.error({ err: error }, 'unexpected error');
    if (error instanceof Error) error.message = withoutSecrets(error.message);
    throw error;
  }
}

/** Several commands of one folder would write, and rotate, one file. */
function logFile({ file }: LogSettings, command: string): string | null {
  return file === '' ? `./logs/${command}.log` : file;
}

async function closeAndExit(log: OpenLog): Promise<void> {
  await log[Symbol.asyncDispose]();
  process.exit(1);
}

/** What nobody caught: Node would print the error with all that hangs on it, a connection's password too. */
function onCrash(crash: (error: unknown) => void): Disposable {
  process.on('uncaughtException', crash);
  return { [Symbol.dispose]: () => process.off('uncaughtException', crash) };
}

function isExpected(error: unknown): error is Error {
  return error instanceof UsageError || error instanceof UnavailableError;
}

/** 2 for wrong use or configuration, 3 for something that cannot be reached, 1 for a defect. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return 2;
  return error instanceof UnavailableError ? 3 : 1;
}

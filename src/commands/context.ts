import { UnavailableError, UsageError } from '../errors.ts';
import { type OpenLog, openLog } from '../observe/log.ts';
import type { Logger } from '../observe/logger.ts';
import { Outages } from '../observe/outages.ts';
import { type LoadOptions, loadSettings } from '../settings/load.ts';
import { secretRemover } from '../plain-text.ts';
import type { Settings } from '../settings/types.ts';
import { listenForSignals } from './shutdown.ts';

/** What every command gets. */
export interface CommandContext {
  settings: Settings;
  logger: Logger;
  outages: Outages;
  /** Aborted when the program is asked to stop. */
  signal: AbortSignal;
  /** A line of results, on stdout. */
  print: (line: string) => void;
}

export interface CommandOptions extends Pick<LoadOptions, 'need' | 'alsoNeeds'> {
  config: string | null;
  /** Exit code where a stop finds more to send. */
  stoppedExitCode?: number;
}

/** Reads the settings, opens the log, and runs a command's body; returns its exit code. */
export async function runCommand(
  options: CommandOptions,
  body: (context: CommandContext) => Promise<number>,
): Promise<number> {
  const settings = loadSettings({
    env: process.env,
    directory: process.cwd(),
    configFile: options.config,
    need: options.need,
    ...(options.alsoNeeds === undefined ? {} : { alsoNeeds: options.alsoNeeds }),
  });
  const secrets = [settings.iterable.apiKey, settings.db.password];
  secrets.push(settings.topics.kafka?.sasl?.password ?? '');
  secrets.push(...proxySecrets(settings.iterable.proxy?.url));
  const withoutSecrets = secretRemover(secrets);
  await using log = openLog(settings.log, process.stderr.isTTY, secrets);
  using outages = new Outages(log.logger);
  using _crash = onCrash((error) => {
    log.logger.fatal({ err: error }, 'unexpected error');
    void closeAndExit(log);
  });
  using shutdown = listenForSignals(
    (name) => log.logger.info(`${name}: stopping; once more stops at once`),
    options.stoppedExitCode ?? 0,
  );
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  try {
    return await body({
      settings,
      logger: log.logger,
      outages,
      signal: shutdown.signal,
      print,
    });
  } catch (error) {
    if (isExpected(error)) log.logger.debug(`ends: ${error.message}`);
    else log.logger.error({ err: error }, 'unexpected error');
    if (error instanceof Error) error.message = withoutSecrets(error.message);
    throw error;
  }
}

/** A proxy's password as it is written in its URL, and as it is. */
function proxySecrets(url: string | undefined): string[] {
  const { password = '' } = (url === undefined ? null : URL.parse(url)) ?? {};
  return [password, decodeURIComponent(password)];
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

/** 2 for wrong use or configuration, 3 for something that can not be reached, 1 for a defect. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return 2;
  return error instanceof UnavailableError ? 3 : 1;
}

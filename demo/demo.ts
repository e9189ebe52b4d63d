/**
 * npm run demo [-- --kafka]
 *
 * The whole program on real servers, told in the terminal. Exit codes: 0 all of it came true,
 * 1 something did not, 2 wrong use, 3 a server could not be had, 130 stopped before the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { quietKnownWarnings } from '../src/commands/warnings.ts';
import { UnavailableError, UsageError } from '../src/errors.ts';
import { NotSeenError } from './not-seen-error.ts';
import { Printer } from './print.ts';
import { type Stage, openStage } from './stage.ts';
import { stayUp } from './stay.ts';
import { tellStory } from './story.ts';

const USAGE = `usage: npm run demo [-- --kafka]

  --kafka  with a real Kafka between capture and delivery (default: embedded topics)

It uses the database server that DB_HOST, DB_PORT, DB_USER and DB_PASSWORD name, and the Kafka that
KAFKA_BROKERS names, where these are set; otherwise it starts its own.`;
const STOPPED_EXIT_CODE = 130;
const LOG_LINES = 15;
/** A connection breaks a moment before the process that held it is seen to have ended. */
const EXIT_NOTICED_MS = 300;

async function main(): Promise<number> {
  const printer = new Printer(process.stdout);
  const options = readOptions();
  if (options === null) return 2;
  if (options.help) {
    printer.line(USAGE);
    return 0;
  }
  const stopping = new AbortController();
  const onSignal = (): void => {
    if (stopping.signal.aborted) process.exit(STOPPED_EXIT_CODE);
    printer.line();
    printer.say('Stopping: taking everything down. Once more stops at once.');
    stopping.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  return await show(printer, options.kafka, stopping.signal);
}

function readOptions(): { kafka: boolean; help: boolean } | null {
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({ options: { kafka: flag, help: { ...flag, short: 'h' } } }).values;
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n\n${USAGE}\n`);
    return null;
  }
}

async function show(printer: Printer, kafka: boolean, signal: AbortSignal): Promise<number> {
  const since = performance.now();
  let opened: Stage | null = null;
  let told = false;
  try {
    printer.title('iterable-sync: MySQL to Iterable, live');
    printer.say('Everything runs on this machine; nothing is left behind at the end.');
    printer.line();
    await using stage = await openStage({ kafka, printer, signal });
    opened = stage;
    await tellStory(stage, printer).catch(async (error: unknown) => {
      throw await causeOf(error, stage);
    });
    told = true;
    printer.line();
    printer.title(`All of it came true, in ${Math.round((performance.now() - since) / 1000)} s.`);
    if (process.stdin.isTTY && process.stdout.isTTY) await stayUp(stage, printer, signal);
    return 0;
  } catch (error) {
    if (signal.aborted) return told ? 0 : STOPPED_EXIT_CODE;
    return explain(printer, error, opened);
  }
}

/** What was not seen is no wonder where a process of ours has ended: then that is what to say. */
async function causeOf(error: unknown, stage: Stage): Promise<unknown> {
  if (!(error instanceof NotSeenError)) return error;
  await sleep(EXIT_NOTICED_MS);
  const ended = stage.whatEnded();
  return ended === null ? error : new NotSeenError(ended, { cause: error });
}

function explain(printer: Printer, error: unknown, stage: Stage | null): number {
  const { message } = error as Error;
  if (error instanceof UsageError || error instanceof UnavailableError) {
    printer.problem(message);
    return error instanceof UsageError ? 2 : 3;
  }
  const where = printer.steps === 0 ? 'while setting up' : `at step ${printer.steps}`;
  const text = error instanceof NotSeenError ? message : String((error as Error).stack);
  printer.problem(`The demo failed ${where}: ${text}`);
  if (stage === null) return 1;
  printer.line('The log of iterable-sync run ends:');
  printer.block(stage.logTail(LOG_LINES), 'dim');
  return 1;
}

quietKnownWarnings(process);
process.exitCode = await main();

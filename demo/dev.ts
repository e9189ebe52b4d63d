/**
 * npm run dev [-- --kafka]
 *
 * A database with the seed data, the simulator and `run`, for work on the code: what runs is started
 * again when one of its source files changes. Ctrl-C takes everything down. Exit codes: 0 stopped,
 * 1 something ended by itself, 2 wrong use, 3 a server could not be had.
 */
import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { quietKnownWarnings } from '../src/commands/warnings.ts';
import { UnavailableError, UsageError } from '../src/errors.ts';
import { freePorts } from '../tools/services/folders.ts';
import { Child } from './child.ts';
import { Printer } from './print.ts';
import { loadSeed, openDatabaseServer, openKafka } from './servers.ts';
import { PROGRAM, cleanEnvironment, temporaryFolder } from './stage.ts';

const USAGE = `usage: npm run dev [-- --kafka]

  --kafka  with a real Kafka between capture and delivery (default: embedded topics)

It uses the database server that DB_HOST, DB_PORT, DB_USER and DB_PASSWORD name, and the Kafka that
KAFKA_BROKERS names, where these are set; otherwise it starts its own. LOG_LEVEL is handed on.`;
const UP_MS_MAX = 30_000;
const MAIN = resolve(import.meta.dirname, '../src/main.ts');

async function main(): Promise<number> {
  const printer = new Printer(process.stdout);
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({ options: { kafka: flag, help: { ...flag, short: 'h' } } });
  if (values.help) {
    printer.line(USAGE);
    return 0;
  }
  const stopping = new AbortController();
  const onSignal = (): void => {
    if (stopping.signal.aborted) process.exit(1);
    printer.line('Stopping; once more stops at once.');
    stopping.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  try {
    return await work(printer, values.kafka, stopping.signal);
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    throw error;
  }
}

/** Everything up until the signal is aborted, or one of the two programs ends by itself. */
async function work(printer: Printer, kafka: boolean, signal: AbortSignal): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const cwd = await temporaryFolder(stack);
  const name = `iterable_sync_dev_${randomBytes(3).toString('hex')}`;
  const env = cleanEnvironment(process.env);
  const database = await openDatabaseServer(stack, printer);
  signal.throwIfAborted();
  const { host, port, user, password } = database.server;
  const [simulatorPort, httpPort] = (await freePorts(2)).map(String) as [string, string];
  Object.assign(env, {
    DB_HOST: host,
    DB_PORT: String(port),
    DB_USER: user,
    DB_PASSWORD: password,
    DB_NAME: name,
    STATE_DIR: join(cwd, 'state'),
    RESULTS_DIR: cwd,
    HTTP_PORT: httpPort,
    ITERABLE_API_KEY: 'dev',
    ITERABLE_API_BASE_URL: `http://127.0.0.1:${simulatorPort}`,
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'info',
    LOG_FORMAT: 'pretty',
  });
  if (kafka) {
    const brokers = await openKafka(stack, printer, name);
    signal.throwIfAborted();
    Object.assign(env, { KAFKA_BROKERS: brokers, KAFKA_TOPIC: name, KAFKA_GROUP_ID: name });
  }
  const once = (child: string, args: readonly string[]): Child =>
    new Child({ name: child, command: PROGRAM, args, env, cwd });
  await loadSeed(stack, printer, once, database, name);
  signal.throwIfAborted();

  const watched = watchedIn(cwd, env, printer);
  const simulator = stack.use(watched('simulator', 'simulator', '--port', simulatorPort));
  await simulator.line(/(simulator at)/, UP_MS_MAX, signal);
  const programs = [simulator, stack.use(watched('run', 'run'))];
  printer.part('simulator', `${env['ITERABLE_API_BASE_URL']}/`);
  printer.part('status', `http://127.0.0.1:${httpPort}/`);
  const secret = database.given || password === '' ? '' : ` -p${password}`;
  printer.part('database', `mysql -h ${host} -P ${port} -u ${user}${secret} ${name}`);
  printer.say('A change of a source file starts what uses it again. Ctrl-C ends all of it.');
  const stopped = Promise.withResolvers<null>();
  signal.addEventListener('abort', () => stopped.resolve(null), { once: true });
  await Promise.race([stopped.promise, ...programs.map((child) => child.ended)]);
  if (signal.aborted) return 0;
  printer.problem(programs.map((child) => child.end).find((end) => end !== null) ?? '');
  return 1;
}

/** Starts commands of the program that begin anew when one of their source files changes. */
function watchedIn(cwd: string, env: NodeJS.ProcessEnv, printer: Printer) {
  return (name: string, ...args: string[]): Child =>
    new Child({
      name,
      command: process.execPath,
      args: ['--watch', '--watch-preserve-output', MAIN, ...args],
      env: { ...env, LOG_FILE: join(cwd, `${name}.log`) },
      cwd,
      onLine: (line) => printer.line(`${name.padEnd(9)} | ${line}`),
      // It has a child of its own, which it takes along.
      deathSignal: 'TERM',
    });
}

quietKnownWarnings(process);
try {
  process.exitCode = await main();
} catch (error) {
  const { message, code } = error as NodeJS.ErrnoException;
  const isUsage = error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS') === true;
  process.stderr.write(`error: ${message}\n${isUsage ? `\n${USAGE}\n` : ''}`);
  if (isUsage) process.exitCode = 2;
  else process.exitCode = error instanceof UnavailableError ? 3 : 1;
}

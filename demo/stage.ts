/** Everything the story needs, started in order and taken down in reverse. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { SETTINGS_TABLE } from '../src/settings/table.ts';
import { isAlive } from '../tools/services/cache.ts';
import { Child } from './child.ts';
import { NotSeenError } from './not-seen-error.ts';
import type { Printer } from './print.ts';
import { type Database, loadSeed, openDatabaseServer, openKafka } from './servers.ts';
import { ProgramView, SimulatorView } from './simulator-view.ts';

export const PROGRAM = resolve(import.meta.dirname, '../bin/iterable-sync');
const FOLDER_PREFIX = 'iterable-sync-demo-';
const UP_MS_MAX = 30_000;
const POLL_MS = 10;

/** What the story is told with. */
export interface Stage extends AsyncDisposable {
  database: Database & { name: string };
  sql: Connection;
  simulator: SimulatorView;
  program: ProgramView;
  /** Which of our processes is gone, in a sentence; null while all run. */
  readonly whatEnded: () => string | null;
  /** The end of the program's log. */
  readonly logTail: (lines: number) => string;
  /** Runs a command of the program to its end, beside the running one. */
  readonly command: (
    args: readonly string[],
  ) => Promise<{ code: number | null; printed: string; log: string }>;
  /** What `check` finds (not null, not false), asked again and again. @throws NotSeenError */
  readonly until: <T>(
    what: string,
    timeoutMs: number,
    check: () => Promise<T | null | false>,
  ) => Promise<T>;
  /** Rejects when the demo is stopped. */
  readonly pause: (ms: number) => Promise<void>;
}

export interface StageOptions {
  kafka: boolean;
  printer: Printer;
  signal: AbortSignal;
}

export async function openStage({ kafka, printer, signal }: StageOptions): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const cwd = await temporaryFolder(stack);
  const name = `iterable_sync_demo_${randomBytes(3).toString('hex')}`;
  const env = cleanEnvironment(process.env);
  const start = (child: string, args: readonly string[]): Child =>
    new Child({ name: child, command: PROGRAM, args, env, cwd });

  const database = await openDatabaseServer(stack, printer);
  signal.throwIfAborted();
  const { server } = database;
  Object.assign(env, {
    DB_HOST: server.host,
    DB_PORT: String(server.port),
    DB_USER: server.user,
    DB_PASSWORD: server.password,
    DB_NAME: name,
    STATE_DIR: join(cwd, 'state'),
    LOG_FILE: join(cwd, 'demo.log'),
    RESULTS_DIR: cwd,
    HTTP_PORT: '0',
    ITERABLE_API_KEY: 'demo',
  });
  let topics = 'embedded topics (a file)';
  if (kafka) {
    const brokers = await openKafka(stack, printer, name);
    signal.throwIfAborted();
    Object.assign(env, { KAFKA_BROKERS: brokers, KAFKA_TOPIC: name, KAFKA_GROUP_ID: name });
    topics = 'topics in Kafka';
  }
  const sql = await loadSeed(stack, printer, start, database, name);
  signal.throwIfAborted();

  printer.part('simulator', 'starting iterable-sync simulator, in the place of api.iterable.com');
  const simulatorChild = stack.use(start('the simulator', ['simulator', '--port', '0']));
  const url = await simulatorChild.line(/simulator at (http:\S+)/, UP_MS_MAX, signal);
  env['ITERABLE_API_BASE_URL'] = url;
  printer.part('', `listens at ${url}`);

  printer.part('program', `starting iterable-sync run, with ${topics}`);
  const running = stack.use(start('iterable-sync run', ['run']));
  const status = await upOrExplain(running, signal);
  printer.part('', `status page at ${status}`);

  const alive = [simulatorChild, running];
  const until = waiter(alive, signal);
  const all = stack.move();
  return {
    database: { ...database, name },
    sql,
    simulator: new SimulatorView(url),
    program: new ProgramView(status),
    whatEnded: () => alive.map((child) => child.end).find((end) => end !== null) ?? null,
    logTail: (lines) => running.tail(lines),
    async command(args) {
      await using child = start(`iterable-sync ${args[0] ?? ''}`, args);
      const stop = Promise.withResolvers<never>();
      const onAbort = (): void => stop.reject(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
      const code = await Promise.race([child.ended, stop.promise]);
      signal.removeEventListener('abort', onAbort);
      return { code, printed: child.printed.join('\n'), log: child.tail(15) };
    },
    until,
    pause: (ms) => sleep(ms, undefined, { signal }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function waiter(alive: readonly Child[], signal: AbortSignal): Stage['until'] {
  return async (what, timeoutMs, check) => {
    const end = performance.now() + timeoutMs;
    for (;;) {
      signal.throwIfAborted();
      const found = await check();
      if (found !== null && found !== false) return found;
      for (const child of alive) child.assertRunning();
      if (performance.now() > end) {
        throw new NotSeenError(`waited ${timeoutMs / 1000} s, and this did not come true: ${what}`);
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  };
}

/** Without any setting of the program: nothing of ours may reach the reader's own systems. */
export function cleanEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const names = new Set<string>(SETTINGS_TABLE.map(({ name }) => name));
  // What says where servers come from begins as settings do, and is none.
  const isOurs = (name: string): boolean => names.has(name) || name.startsWith('ITERABLE_SYNC_');
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isOurs(name)));
}

/**
 * The working directory of all processes too, so that no `.env` file is read. Its name carries our
 * process id: what a demo that was killed left behind is removed by the next one.
 */
export async function temporaryFolder(stack: AsyncDisposableStack): Promise<string> {
  for (const name of await readdir(tmpdir())) {
    const owner = Number(new RegExp(`^${FOLDER_PREFIX}(\\d+)-`).exec(name)?.[1] ?? process.pid);
    if (!isAlive(owner)) await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
  const path = await mkdtemp(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  const lastResort = (): void => rmSync(path, { recursive: true, force: true });
  process.once('exit', lastResort);
  stack.defer(async () => {
    await rm(path, { recursive: true, force: true });
    process.off('exit', lastResort);
  });
  return path;
}

/** Its status page's address; a program that refuses to start says why itself. */
async function upOrExplain(running: Child, signal: AbortSignal): Promise<string> {
  try {
    return await running.line(/status at (http:[^\s"]+)/, UP_MS_MAX, signal);
  } catch (error) {
    if (!(error instanceof NotSeenError)) throw error;
    throw new NotSeenError(`${error.message}; its log ends:\n${running.tail(10)}`);
  }
}

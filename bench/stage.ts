import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { notOutlivingUs } from '../tools/services/server-process.ts';
import {
  type DatabaseServer,
  type KafkaServer,
  findDatabase,
  findKafka,
} from '../tools/services/services.ts';

/** As users start it, with the bounds that the launcher sets. */
export const PROGRAM = new URL('../bin/iterable-sync', import.meta.url).pathname;
/** Far above what any part takes: a program that hangs must not hang whoever measures it. */
const WAIT_MS_MAX = 10 * 60_000;
/** Of /proc, everywhere that Node runs (sysconf(_SC_CLK_TCK)). */
const TICKS_A_SECOND = 100;
const SETUP = new URL('../sql/database_setup.sql', import.meta.url);

/** An accepted call, as the simulator logs it; `at` is epoch ms with a fraction. */
export interface Arrival {
  seq: number;
  at: number;
  endpoint: string;
  email: string;
}

interface EndpointStats {
  requests: number;
  statuses: Record<string, number>;
  peakPerSecond: number;
}

/**
 * Asks again until the answer is true.
 * @throws Error where it stays false for WAIT_MS_MAX, naming what was waited for.
 */
export async function until(
  what: string,
  everyMs: number,
  isSo: () => Promise<boolean>,
): Promise<void> {
  const end = performance.now() + WAIT_MS_MAX;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`after ${WAIT_MS_MAX / 60_000} min: not ${what}`);
    await sleep(everyMs);
  }
}

/** The real program, or the simulator, as a process of its own. */
export class Process implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | null>;
  output = '';

  constructor(args: readonly string[], env: Readonly<Record<string, string>>, keepsOutput = true) {
    const stdout = keepsOutput ? 'pipe' : 'ignore';
    const [command, ...rest] = notOutlivingUs([PROGRAM, ...args], 'KILL');
    this.#child = spawn(command, rest, {
      env: { PATH: process.env['PATH'], LOG_FILE: 'off', ...env },
      stdio: ['ignore', stdout, 'pipe'],
    });
    const collect = (chunk: Buffer): void => void (this.output += chunk.toString());
    this.#child.stdout?.on('data', collect);
    this.#child.stderr?.on('data', collect);
    this.ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)));
  }

  /** Highest resident memory so far, in MB; Linux only. */
  peakMegabytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024;
    } catch {
      return Number.NaN;
    }
  }

  /** Processor time so far, the system's part of it too; Linux only. */
  cpuSeconds(): number {
    try {
      const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
    } catch {
      return Number.NaN;
    }
  }

  /** Waits for a text in what it prints, and returns the first group of the match. */
  async says(pattern: RegExp): Promise<string> {
    for (let i = 0; i < 1500; i++) {
      const match = pattern.exec(this.output);
      if (match !== null) return match[1] ?? '';
      await sleep(20);
    }
    throw new Error(`it did not say ${String(pattern)}:\n${this.output}`);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

/** The simulator, in a process of its own so that it measures undisturbed. */
export class Iterable extends Process {
  url = '';

  static async start(): Promise<Iterable> {
    const iterable = new Iterable(['simulator', '--port', '0'], { LOG_LEVEL: 'warn' });
    iterable.url = await iterable.says(/simulator at (http:\S+)/);
    return iterable;
  }

  async #get<T>(path: string): Promise<T> {
    return (await (await fetch(this.url + path)).json()) as T;
  }

  /** From now on the calls for these addresses answer 500. */
  async poison(emails: readonly string[]): Promise<void> {
    const refuse = emails.map((email) => ({ email, status: 500, code: 'GenericError' }));
    const body = JSON.stringify({ refuse });
    const answer = await fetch(`${this.url}/simulator/faults`, { method: 'POST', body });
    if (!answer.ok) throw new Error(`the simulator takes no faults: ${await answer.text()}`);
  }

  async events(): Promise<number> {
    const { state } = await this.#get<{ state: { events: number } }>('/simulator/stats');
    return state.events;
  }

  async endpoint(name: string): Promise<EndpointStats> {
    const stats = await this.#get<{ endpoints: Record<string, EndpointStats> }>('/simulator/stats');
    return stats.endpoints[name] ?? { requests: 0, statuses: {}, peakPerSecond: 0 };
  }

  async arrivals(endpoint: string): Promise<Arrival[]> {
    const all: Arrival[] = [];
    for (let since = 0; ;) {
      const page = await this.#get<{ deliveries: Arrival[] } | Arrival[]>(
        `/simulator/deliveries?since=${since}&limit=10000`,
      );
      const list = Array.isArray(page) ? page : page.deliveries;
      const last = list.at(-1);
      if (last === undefined) return all.filter((arrival) => arrival.endpoint === endpoint);
      all.push(...list);
      since = last.seq;
    }
  }

  async latency(ms: number): Promise<void> {
    const body = JSON.stringify(ms === 0 ? {} : { latency: { '*': { ms } } });
    await fetch(`${this.url}/simulator/faults`, {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'application/json' },
    });
  }

  async reset(): Promise<void> {
    await fetch(`${this.url}/simulator/reset`, { method: 'POST' });
  }
}

/** Servers for one run of the benchmarks. */
export interface Stage extends AsyncDisposable {
  server: DatabaseServer;
  kafka: KafkaServer;
}

export async function openStage(say: (line: string) => void): Promise<Stage> {
  const [server, kafka] = await Promise.all([findDatabase({ say }), findKafka({ say })]);
  return {
    server,
    kafka,
    async [Symbol.asyncDispose]() {
      await kafka[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export interface Scene extends AsyncDisposable {
  connection: Connection;
  env: Record<string, string>;
  iterable: Iterable;
  /** The name of its database, topic and group. */
  name: string;
}

let scenes = 0;

/** A database, a topic and an Iterable of its own. */
export async function openScene(stage: Stage, topics: 'embedded' | 'Kafka'): Promise<Scene> {
  const { server, kafka } = stage;
  const name = `bench_${process.pid}_${(scenes += 1)}`;
  const address = {
    host: server.host,
    port: server.port,
    user: server.user,
    password: server.password,
  };
  const connection = await createConnection({ ...address, multipleStatements: true });
  await connection.query(`CREATE DATABASE ${name}; USE ${name}; SET time_zone = '+00:00'`);
  // One name is MySQL's, the other MariaDB's.
  for (const depth of ['cte_max_recursion_depth', 'max_recursive_iterations']) {
    await connection.query(`SET SESSION ${depth} = 10000000`).catch(() => undefined);
  }
  await connection.query(readFileSync(SETUP, 'utf8'));
  const iterable = await Iterable.start();
  const folder = mkdtempSync(join(tmpdir(), 'iterable-sync-bench-'));
  const env = {
    DB_HOST: server.host,
    DB_PORT: String(server.port),
    DB_USER: server.user,
    DB_PASSWORD: server.password,
    DB_NAME: name,
    ITERABLE_API_KEY: 'bench',
    ITERABLE_API_BASE_URL: iterable.url,
    STATE_DIR: join(folder, 'state'),
    RESULTS_DIR: join(folder, 'results'),
    HTTP_PORT: '0',
    ...(topics === 'Kafka'
      ? { KAFKA_BROKERS: kafka.brokers.join(','), KAFKA_TOPIC: name, KAFKA_GROUP_ID: name }
      : {}),
  };
  return {
    connection,
    env,
    iterable,
    name,
    async [Symbol.asyncDispose]() {
      await iterable[Symbol.asyncDispose]();
      await connection.query(`DROP DATABASE ${name}`);
      connection.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Customers `many<i>@example.com` of a plan, in one statement. */
export async function addCustomers(scene: Scene, count: number, plan: string): Promise<void> {
  await scene.connection.query(
    `INSERT INTO customers (email, first_name, plan_type)
     WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
     SELECT CONCAT('many', i, '@example.com'), 'Ann', '${plan}' FROM n`,
  );
}

/** Starts it and waits until /readyz says that it streams. */
export async function startReady(
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ program: Process; url: string }> {
  const program = new Process(args, env);
  const url = await program.says(/status at (http:\/\/[^"\s]+)/);
  for (let i = 0; i < 1500; i++) {
    if ((await fetch(`${url}/readyz`)).status === 200) return { program, url };
    await sleep(20);
  }
  throw new Error(`it did not get ready:\n${program.output}`);
}

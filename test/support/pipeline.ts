import type { Connection } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import type { DatabaseAddress } from '../../tools/services/services.ts';
import { differences, expectedNow } from './expected.ts';
import { SEED } from './extent.ts';
import { type CheckOptions, History } from './history.ts';
import { Program, environment, until } from './program.ts';
import {
  type FreshDatabase,
  connectTo,
  freshDatabase,
  freshTopicPrefix,
  injectServices,
} from './services.ts';
import { Workload } from './workload.ts';

const CRASH_POINTS = new URL('./crash-points.ts', import.meta.url).href;
const PROBLEMS_MAX = 20;
/** The simulator stamps an arrival when this process gets to it, on cores that it shares. */
const BUNCHING = 1.05;
export const API_KEY = 'test-key';
export { SEED };

export interface PipelineOptions {
  database: DatabaseAddress;
  topics: 'embedded' | 'Kafka';
  seed?: number;
  customers?: number;
  brokers?: readonly string[];
  env?: Readonly<Record<string, string>>;
  simulator?: Partial<SimulatorOptions>;
  /** Told of every call that arrives, whatever becomes of it, in epoch milliseconds. */
  onArrival?: SimulatorOptions['onArrival'];
}

interface Status {
  deliver: {
    lag_messages: Record<string, number>;
    in_flight: { messages: number; deliveries: number };
  };
}

/** Whether a `run` or `deliver` has nothing left to do, as its status says. */
export async function isCaughtUp(url: string): Promise<boolean> {
  const status = (await (await fetch(`${url}/status`)).json()) as Status;
  const { lag_messages: lag, in_flight: inFlight } = status.deliver;
  return (
    Object.values(lag).every((messages) => messages === 0) &&
    inFlight.messages === 0 &&
    inFlight.deliveries === 0
  );
}

/** A database under a random workload, an Iterable, and the history of both. */
export class Pipeline implements AsyncDisposable {
  readonly history: History;
  readonly simulator: Simulator;
  readonly workload: Workload;
  connection: Connection;
  readonly env: Record<string, string>;
  readonly #database: FreshDatabase;

  private constructor(
    options: PipelineOptions,
    database: FreshDatabase,
    simulator: Simulator,
    history: History,
  ) {
    this.#database = database;
    this.connection = database.connection;
    this.simulator = simulator;
    this.history = history;
    const brokers = options.brokers ?? injectServices().kafkaBrokers;
    this.env = environment(database.settings, simulator.url, {
      KAFKA_BROKERS: options.topics === 'Kafka' ? brokers.join(',') : '',
      KAFKA_TOPIC: freshTopicPrefix(),
      KAFKA_GROUP_ID: freshTopicPrefix(),
      ITERABLE_API_KEY: API_KEY,
      ...options.env,
    });
    this.workload = new Workload(
      this.connection,
      options.seed ?? SEED,
      options.customers ?? 20,
      async (userIds) => {
        if (userIds.length === 0) return;
        const found = [...(await expectedNow(this.connection, userIds)).values()];
        for (const userId of userIds) {
          history.committed(userId, found.find((one) => one.userId === userId) ?? null);
        }
      },
    );
  }

  static async open(options: PipelineOptions): Promise<Pipeline> {
    const database = await freshDatabase(options.database);
    const history = new History();
    const simulator = await startSimulator({
      port: 0,
      apiKeys: [API_KEY],
      onAccepted: (endpoint, _at, accepted) => {
        if (endpoint !== 'users/update' && endpoint !== 'events/track') return;
        for (const { email, id, createdAt, dataFields } of accepted) {
          history.accepted({
            endpoint,
            email: email ?? '',
            eventId: id,
            createdAt,
            dataFields: structuredClone(dataFields),
          });
        }
      },
      onArrival: options.onArrival ?? null,
      ...options.simulator,
    });
    const pipeline = new Pipeline(options, database, simulator, history);
    await pipeline.workload.setUp();
    return pipeline;
  }

  /** The program, or one that is killed at a point of crash-points.ts (`point:nth`). */
  start(command = 'run', more: Readonly<Record<string, string>> = {}): Program {
    const isArmed = more['CRASH_AT'] !== undefined || more['PLANT'] !== undefined;
    const preload: Record<string, string> = isArmed
      ? { NODE_OPTIONS: `--import ${CRASH_POINTS}` }
      : {};
    return new Program(command.split(' '), { ...this.env, ...preload, ...more });
  }

  /**
   * Writes, with a pause after each transaction, until the returned function is called. When the
   * database goes away, it connects again and goes on.
   */
  write(pauseMs = 5): () => Promise<void> {
    const stopping = new AbortController();
    const done = (async () => {
      while (!stopping.signal.aborted) {
        try {
          await this.workload.steps(1);
        } catch (error) {
          await this.#connectAgain(error);
        }
        await sleep(pauseMs);
      }
    })();
    done.catch(() => undefined);
    return async () => {
      stopping.abort();
      await done;
    };
  }

  async #connectAgain(cause: unknown): Promise<void> {
    if ((cause as { fatal?: boolean }).fatal !== true) {
      const { message } = cause as Error;
      if (!/closed state|shutdown in progress/i.test(message)) throw cause;
    }
    this.connection.destroy();
    const { settings } = this.#database;
    await until('the database is back', async () => {
      this.connection = await connectTo(settings, settings.name);
      await this.workload.goOn(this.connection);
      return true;
    });
  }

  /** Waits until Iterable holds what the rule says; how long that took, in milliseconds. */
  async converge(timeoutMs = 60_000): Promise<number> {
    const beganMs = performance.now();
    const hasAll = async (): Promise<boolean> =>
      (await differences(this.connection, this.simulator)).length === 0;
    await until('Iterable holds what the rule says', hasAll, timeoutMs).catch(() => undefined);
    return performance.now() - beganMs;
  }

  /** Waits until that is so and these programs have nothing left to do. */
  async settle(urls: readonly string[], timeoutMs = 60_000): Promise<void> {
    await this.converge(timeoutMs);
    await until(
      'the programs have nothing left to do',
      async () => (await Promise.all(urls.map(isCaughtUp))).every(Boolean),
      timeoutMs,
    ).catch(() => undefined);
  }

  /** Everything that is wrong, in words (the first of it); empty when the promise was kept. */
  async problems(options?: CheckOptions): Promise<string[]> {
    const problems = [
      ...(await this.differences()),
      ...this.history.check(options).map(({ kind, sentence }) => `${kind}: ${sentence}`),
    ];
    return problems.slice(0, PROBLEMS_MAX);
  }

  /** The same without the history, for what other writers than `workload` have written. */
  async differences(): Promise<string[]> {
    const { order, endpoints } = this.simulator.stats();
    const update = endpoints['users/update'].peakPerSecond;
    const track = endpoints['events/track'].peakPerSecond;
    const problems = [
      ...(await differences(this.connection, this.simulator)),
      ...(order.overlappingSameUser > 0 ? [`order: ${order.overlappingSameUser} overlaps`] : []),
      ...(update > 500 * BUNCHING ? [`rate: ${update} users/update in a second`] : []),
      ...(track > 2000 * BUNCHING ? [`rate: ${track} events/track in a second`] : []),
    ];
    return problems.slice(0, PROBLEMS_MAX);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.connection !== this.#database.connection) this.connection.destroy();
    await this.simulator[Symbol.asyncDispose]();
    await this.#database[Symbol.asyncDispose]();
  }
}

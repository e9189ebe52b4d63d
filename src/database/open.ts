import { setTimeout as sleep } from 'node:timers/promises';
import { type Pool, type PoolConnection, createPool } from 'mysql2/promise';
import type { DataModel } from '../model/data-model.ts';
import type { DatabaseSettings } from '../settings/types.ts';
import { beginSession, connectionOptions } from './connect.ts';
import { explainDatabaseError } from './explain.ts';
import { positional } from './placeholders.ts';
import { SERVER_MARGIN_MS, queryLimit } from './preamble.ts';

/** A query that takes longer has a server or a network that hangs, where nothing else is said. */
const QUERY_MS_MAX = 60_000;
const CONNECTIONS_MAX = 4;
/** A connection with a question out ends after the answer, which may never come. */
const END_MS_MAX = 1_000;

type Rows = readonly Readonly<Record<string, unknown>>[];

/**
 * Runs one statement with `:name` placeholders in a session that was begun as every session is
 * (preamble.ts). After `timeoutMs` it rejects, and the server ends the statement within seconds.
 */
export type Query = (
  sql: string,
  parameters: Readonly<Record<string, unknown>>,
  timeoutMs?: number,
) => Promise<Rows>;

/** Queries of one connection, hence of one server, whatever stands behind the address. */
export interface Session {
  query: Query;
  /** What was asked of the server once, by name: it stays true as long as the connection lasts. */
  facts: Map<string, string>;
  /** What our tables and columns are called there. */
  model: DataModel;
}

export interface Database extends AsyncDisposable {
  /**
   * One statement, on any connection. Rejects with UnavailableError where the database cannot be
   * reached or refuses, or takes too long.
   */
  query: Query;
  /**
   * Several statements one after the other on one connection, which `work` must not keep. A
   * statement that fails ends the connection; `work` rejects as the statement does, or as `query`
   * where that was the database.
   */
  session: <T>(work: (session: Session) => Promise<T>) => Promise<T>;
}

/** A connection of the pool, and what is known of it. */
interface Pooled {
  connection: PoolConnection;
  known: Known;
}

interface Known {
  /** When it last answered; null: its session has not begun. */
  answeredMs: number | null;
  /** The time limit that the server has for its queries. */
  limitMs: number;
  facts: Map<string, string>;
}

function openPool(db: DatabaseSettings): Pool {
  return createPool({ ...connectionOptions(db), connectionLimit: CONNECTIONS_MAX });
}

async function endPool(pool: Pool): Promise<void> {
  const ended = pool.end().catch(() => undefined);
  const over = new AbortController();
  const late = sleep(END_MS_MAX, undefined, { signal: over.signal }).catch(() => undefined);
  await Promise.race([ended, late]);
  over.abort();
}

function isLinkBroken(error: unknown): boolean {
  const { fatal, code } = error as { fatal?: boolean; code?: string };
  return fatal === true || code === 'PROTOCOL_SEQUENCE_TIMEOUT';
}

/** The pool's connections. No query runs on one before its session has begun. */
class Connections {
  readonly #db: DatabaseSettings;
  readonly #pool: Pool;
  readonly #known = new WeakMap<PoolConnection['connection'], Known>();
  #failedMs = Number.NEGATIVE_INFINITY;

  constructor(db: DatabaseSettings) {
    this.#db = db;
    this.#pool = openPool(db);
  }

  async acquire(): Promise<Pooled> {
    for (;;) {
      const connection = await this.#pool.getConnection();
      const known = this.#known.get(connection.connection) ?? {
        answeredMs: null,
        limitMs: 0,
        facts: new Map<string, string>(),
      };
      this.#known.set(connection.connection, known);
      // When one link broke without a word, the others that are as old did so too.
      if (known.answeredMs === null || known.answeredMs > this.#failedMs)
        return { connection, known };
      connection.destroy();
    }
  }

  /** Whatever state it is in, a new one is as good: none is left with a query running. */
  drop({ connection }: Pooled, error: unknown): void {
    connection.destroy();
    if (isLinkBroken(error)) this.#failedMs = performance.now();
  }

  async run(
    { connection, known }: Pooled,
    sql: string,
    parameters: Readonly<Record<string, unknown>>,
    timeoutMs: number,
  ): Promise<Rows> {
    if (known.answeredMs === null) {
      await beginSession(connection, this.#db.timeZone, timeoutMs);
    } else if (known.limitMs !== timeoutMs) {
      const limit = queryLimit(timeoutMs + SERVER_MARGIN_MS);
      await connection.query({ sql: limit, timeout: timeoutMs });
    }
    known.limitMs = timeoutMs;
    known.answeredMs = performance.now();
    const { text, values } = positional(sql, parameters);
    const [rows] = await connection.query({ sql: text, timeout: timeoutMs }, values);
    known.answeredMs = performance.now();
    return rows as Rows;
  }

  async end(): Promise<void> {
    await endPool(this.#pool);
  }
}

/** Opens a pool and sees that it works. Rejects with UnavailableError, in one sentence. */
export async function openDatabase(db: DatabaseSettings): Promise<Database> {
  const connections = new Connections(db);
  const session: Database['session'] = async (work) => {
    const failures: unknown[] = [];
    const noted = async <T>(running: Promise<T>): Promise<T> => {
      try {
        return await running;
      } catch (error) {
        failures.push(error);
        throw explainDatabaseError(error, db);
      }
    };
    const pooled = await noted(connections.acquire());
    try {
      return await work({
        facts: pooled.known.facts,
        model: db.model,
        query: (sql, parameters, timeoutMs = QUERY_MS_MAX) =>
          noted(connections.run(pooled, sql, parameters, timeoutMs)),
      });
    } finally {
      if (failures.length === 0) pooled.connection.release();
      else connections.drop(pooled, failures[0]);
    }
  };
  const query: Database['query'] = (sql, parameters, timeoutMs) =>
    session((on) => on.query(sql, parameters, timeoutMs));
  try {
    await query('SELECT 1', {});
  } catch (error) {
    await connections.end();
    throw error;
  }
  return { query, session, [Symbol.asyncDispose]: () => connections.end() };
}

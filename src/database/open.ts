import { setTimeout as sleep } from 'node:timers/promises';
import { type Pool, type PoolConnection, createPool } from 'mysql2/promise';
import type { DatabaseSettings } from '../settings/types.ts';
import { CONNECT_MS_MAX, connectionOptions } from './connect.ts';
import { explainDatabaseError } from './explain.ts';

/** A query that takes longer has a server or a network that hangs, where nothing else is said. */
const QUERY_MS_MAX = 60_000;
const CONNECTIONS_MAX = 4;
/** A connection with a question out ends after the answer, which may never come. */
const END_MS_MAX = 1_000;

type Rows = readonly Readonly<Record<string, unknown>>[];
/** What mysql2 takes for them; it says so of mutable objects only. */
type QueryParameters = Record<string, string | number | string[]>;

export interface Database extends AsyncDisposable {
  /**
   * Runs one statement with `:name` placeholders in a session in DB_TIME_ZONE. Rejects with
   * UnavailableError where the database can not be reached or refuses, or takes too long.
   */
  query: (
    sql: string,
    parameters: Readonly<Record<string, unknown>>,
    timeoutMs?: number,
  ) => Promise<Rows>;
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

/** Opens a pool and sees that it works. Rejects with UnavailableError, in one sentence. */
export async function openDatabase(db: DatabaseSettings): Promise<Database> {
  const pool = openPool(db);
  /** When each connection last answered. */
  const answeredMs = new WeakMap<PoolConnection['connection'], number>();
  let failedMs = Number.NEGATIVE_INFINITY;
  const acquire = async (): Promise<PoolConnection> => {
    for (;;) {
      const connection = await pool.getConnection();
      const heardMs = answeredMs.get(connection.connection);
      // When one link broke without a word, the others that are as old did so too.
      if (heardMs === undefined || heardMs > failedMs) return connection;
      connection.destroy();
    }
  };
  const query: Database['query'] = async (sql, parameters, timeoutMs = QUERY_MS_MAX) => {
    try {
      const connection = await acquire();
      try {
        // TIMESTAMP and CURDATE() depend on the session: no query runs before its zone is set.
        if (!answeredMs.has(connection.connection)) {
          await connection.query({ sql: 'SET time_zone = ?', timeout: CONNECT_MS_MAX }, [
            db.timeZone,
          ]);
        }
        const [rows] = await connection.query(
          { sql, timeout: timeoutMs },
          parameters as QueryParameters,
        );
        answeredMs.set(connection.connection, performance.now());
        connection.release();
        return rows as Rows;
      } catch (error) {
        // Whatever state it is in, a new one is as good: none is left with a query running.
        connection.destroy();
        if (isLinkBroken(error)) failedMs = performance.now();
        throw error;
      }
    } catch (error) {
      throw explainDatabaseError(error, db);
    }
  };
  try {
    await query('SELECT 1', {});
  } catch (error) {
    await pool.end().catch(() => undefined);
    throw error;
  }
  return { query, [Symbol.asyncDispose]: () => endPool(pool) };
}

import { type Pool, type PoolConnection, createPool } from 'mysql2/promise';
import type { DatabaseSettings } from '../settings/types.ts';
import { CONNECT_MS_MAX, connectionOptions } from './connect.ts';
import { explainDatabaseError } from './explain.ts';

/** A query that takes longer has a server or a network that hangs: the connection is dropped. */
const QUERY_MS_MAX = 60_000;
const CONNECTIONS_MAX = 4;

type Rows = readonly Readonly<Record<string, unknown>>[];
/** What mysql2 takes for them; it says so of mutable objects only. */
type QueryParameters = Record<string, string | number | string[]>;

export interface Database extends AsyncDisposable {
  /**
   * Runs one statement with `:name` placeholders in a session in DB_TIME_ZONE. Rejects with
   * UnavailableError where the database can not be reached or refuses.
   */
  query: (sql: string, parameters: Readonly<Record<string, unknown>>) => Promise<Rows>;
}

function openPool(db: DatabaseSettings): Pool {
  return createPool({ ...connectionOptions(db), connectionLimit: CONNECTIONS_MAX });
}

/** Opens a pool and sees that it works. Rejects with UnavailableError, in one sentence. */
export async function openDatabase(db: DatabaseSettings): Promise<Database> {
  const pool = openPool(db);
  const inTimeZone = new WeakSet<PoolConnection['connection']>();
  const query: Database['query'] = async (sql, parameters) => {
    try {
      const connection = await pool.getConnection();
      try {
        // TIMESTAMP and CURDATE() depend on the session: no query runs before its zone is set.
        if (!inTimeZone.has(connection.connection)) {
          await connection.query({ sql: 'SET time_zone = ?', timeout: CONNECT_MS_MAX }, [
            db.timeZone,
          ]);
          inTimeZone.add(connection.connection);
        }
        const [rows] = await connection.query(
          { sql, timeout: QUERY_MS_MAX },
          parameters as QueryParameters,
        );
        connection.release();
        return rows as Rows;
      } catch (error) {
        // Whatever state it is in, a new one is as good: none is left with a query running.
        connection.destroy();
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
  return { query, [Symbol.asyncDispose]: () => pool.end().catch(() => undefined) };
}

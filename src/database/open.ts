import { type Pool, type PoolConnection, createPool } from 'mysql2/promise';
import type { DatabaseSettings } from '../settings/types.ts';
import { explainDatabaseError } from './explain.ts';

/** A query that takes longer has a server or a network that hangs: the connection is dropped. */
const QUERY_MS_MAX = 60_000;
const CONNECT_MS_MAX = 10_000;
const CONNECTIONS_MAX = 4;

type Rows = readonly Readonly<Record<string, unknown>>[];

export interface Database extends AsyncDisposable {
  /**
   * Runs one statement with `:name` placeholders in a session in DB_TIME_ZONE. Rejects with
   * UnavailableError where the database can not be reached or refuses.
   */
  query: (sql: string, parameters: Readonly<Record<string, unknown>>) => Promise<Rows>;
}

function openPool(db: DatabaseSettings): Pool {
  return createPool({
    host: db.host,
    port: db.port,
    user: db.user,
    password: db.password,
    database: db.name,
    connectionLimit: CONNECTIONS_MAX,
    connectTimeout: CONNECT_MS_MAX,
    enableKeepAlive: true,
    charset: 'utf8mb4',
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: false,
    namedPlaceholders: true,
    ...(db.ssl ? { ssl: {} } : {}),
  });
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
          await connection.query({ sql: 'SET time_zone = ?', timeout: CONNECT_MS_MAX }, [db.timeZone]);
          inTimeZone.add(connection.connection);
        }
        const [rows] = await connection.query({ sql, timeout: QUERY_MS_MAX }, parameters);
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

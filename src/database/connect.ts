import { type Connection, type ConnectionOptions, createConnection } from 'mysql2/promise';
import type { DatabaseSettings } from '../settings/types.ts';
import { explainDatabaseError } from './explain.ts';
import { tlsOptions } from './tls.ts';

export const CONNECT_MS_MAX = 10_000;

/**
 * How every connection to the database is made: dates as text, integers above 2^53 as strings,
 * the whole of Unicode. The session's time zone is not among it: set it before the first query.
 */
export function connectionOptions(db: DatabaseSettings): ConnectionOptions {
  return {
    host: db.host,
    port: db.port,
    user: db.user,
    password: db.password,
    database: db.name,
    connectTimeout: CONNECT_MS_MAX,
    enableKeepAlive: true,
    charset: 'utf8mb4',
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: false,
    namedPlaceholders: true,
    ...(db.ssl ? { ssl: tlsOptions(db.host) } : {}),
  };
}

/**
 * One connection of its own, in DB_TIME_ZONE. Rejects with UnavailableError, in one sentence.
 * When it breaks, the query under way (or the next one) rejects; `error` events are taken care of.
 */
export async function connect(db: DatabaseSettings): Promise<Connection> {
  let connection: Connection | null = null;
  try {
    connection = await createConnection(connectionOptions(db));
    // Without a listener, a connection lost while idle would end the process.
    connection.on('error', () => undefined);
    await connection.query({ sql: 'SET time_zone = ?', timeout: CONNECT_MS_MAX }, [db.timeZone]);
    return connection;
  } catch (error) {
    connection?.destroy();
    throw explainDatabaseError(error, db);
  }
}

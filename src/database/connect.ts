import { type Connection, type ConnectionOptions, createConnection } from 'mysql2/promise';
import type { DatabaseSettings } from '../settings/types.ts';
import { explainDatabaseError } from './explain.ts';
import { SERVER_MARGIN_MS, preamble } from './preamble.ts';
import { tlsOptions } from './tls.ts';

export const CONNECT_MS_MAX = 10_000;
/** How long a query may take on a connection of its own: it asks the server about itself. */
export const OWN_QUERY_MS_MAX = 10_000;

/**
 * How every connection to the database is made: dates and JSON as text, integers above 2^53 as
 * strings, the whole of Unicode. Its session is not ready by that: the preamble comes before any query.
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
    jsonStrings: true,
    ...(db.ssl ? { ssl: tlsOptions(db.host) } : {}),
  };
}

/** Makes a new session what every session is (preamble.ts). Rejects as the server does. */
export async function beginSession(
  connection: Pick<Connection, 'query'>,
  timeZone: string,
  queryMsMax: number,
): Promise<void> {
  const sql = preamble(queryMsMax === 0 ? 0 : queryMsMax + SERVER_MARGIN_MS);
  await connection.query({ sql, timeout: CONNECT_MS_MAX }, [timeZone]);
}

/**
 * One connection of its own, its session begun in DB_TIME_ZONE; the server ends its queries soon
 * after `queryMsMax`, 0: never. Rejects with UnavailableError, in one sentence. When it breaks, the
 * query under way (or the next one) rejects; `error` events are taken care of.
 */
export async function connect(
  db: DatabaseSettings,
  queryMsMax = OWN_QUERY_MS_MAX,
  more: ConnectionOptions = {},
): Promise<Connection> {
  let connection: Connection | null = null;
  try {
    connection = await createConnection({ ...connectionOptions(db), ...more });
    // Without a listener, a connection lost while idle would end the process.
    connection.on('error', () => undefined);
    await beginSession(connection, db.timeZone, queryMsMax);
    return connection;
  } catch (error) {
    connection?.destroy();
    throw explainDatabaseError(error, db);
  }
}

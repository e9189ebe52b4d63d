import { createConnection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import type { DatabaseSettings } from '../../src/settings/types.ts';

const CONNECT_MS_MAX = 2_000;

type Login = Pick<DatabaseSettings, 'host' | 'port' | 'user' | 'password'>;

/** `SELECT VERSION()`, or null while the server doesn't take connections. */
export async function askVersion(login: Login): Promise<string | null> {
  const { host, port, user, password } = login;
  try {
    const connectTimeout = CONNECT_MS_MAX;
    const connection = await createConnection({ host, port, user, password, connectTimeout });
    try {
      const [rows] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version');
      return String(rows[0]?.['version']);
    } finally {
      connection.destroy();
    }
  } catch {
    return null;
  }
}

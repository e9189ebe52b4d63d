import { createHash } from 'node:crypto';
import type { Connection } from 'mysql2/promise';
import { rowsOf } from './source.ts';

/** One wait for the lock; a stop is noticed this late at most. */
const WAIT_S = 1;

/** The name of the lock that one capture of a database into a topic holds. At most 64 characters. */
export function lockName(database: string, topic: string): string {
  const hash = createHash('sha256').update(`${database}\0${topic}`).digest('hex').slice(0, 40);
  return `iterable-sync ${hash}`;
}

/**
 * Waits until this connection holds the lock, or returns false when `signal` aborts. The server
 * releases it when the connection ends, however it ends. `onWaiting` is called once, when another
 * holds it.
 */
export async function takeLock(
  connection: Connection,
  name: string,
  signal: AbortSignal,
  onWaiting: () => void,
): Promise<boolean> {
  let isWaiting = false;
  while (!signal.aborted) {
    const [row] = await rowsOf(connection, 'SELECT GET_LOCK(?, ?) AS taken', [
      name,
      isWaiting ? WAIT_S : 0,
    ]);
    if (Number(row?.['taken']) === 1) return true;
    if (!isWaiting) onWaiting();
    isWaiting = true;
  }
  return false;
}

/** Whether this connection still holds the lock. Rejects when the connection is gone. */
export async function holdsLock(connection: Connection, name: string): Promise<boolean> {
  const [row] = await rowsOf(connection, 'SELECT IS_USED_LOCK(?) = CONNECTION_ID() AS held', [
    name,
  ]);
  return Number(row?.['held']) === 1;
}

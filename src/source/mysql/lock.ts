import { createHash } from 'node:crypto';
import type { Connection } from 'mysql2/promise';
import type { Clock } from '../../model/clock.ts';
import { rowsOf } from './server.ts';

/** One wait for the lock; a stop is noticed this late at most. */
const WAIT_S = 1;

const LOCK_CHECK_INTERVAL_MS = 2_000;
const LOCK_CHECK_MS_MAX = 5_000;

/**
 * The server ends the lock's session when it hears nothing for so long: a link that broke without
 * a word must not keep the lock from everyone, ourselves included. A standby takes over within
 * 10 s by it.
 */
const LOCK_SESSION_IDLE_S = 8;

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
  await connection.query(`SET SESSION wait_timeout = ${LOCK_SESSION_IDLE_S}`);
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
async function holdsLock(connection: Connection, name: string): Promise<boolean> {
  const sql = 'SELECT IS_USED_LOCK(?) = CONNECTION_ID() AS held';
  const [row] = await rowsOf(connection, sql, [name], LOCK_CHECK_MS_MAX);
  return Number(row?.['held']) === 1;
}

export interface LockGuard extends Disposable {
  /** Aborts when the lock may be another's; its reason is the error. */
  signal: AbortSignal;
}

/** Sees that the lock is still held, and keeps its session alive by that. */
export function guardLock(control: Connection, lock: string, clock: Clock): LockGuard {
  const broken = new AbortController();
  const ended = new AbortController();
  const onLost = (error: unknown): void => broken.abort(error);
  control.on('error', onLost);
  void (async () => {
    for (;;) {
      await clock.sleep(LOCK_CHECK_INTERVAL_MS, ended.signal).catch(() => undefined);
      if (ended.signal.aborted) return;
      if (!(await holdsLock(control, lock))) throw new Error('another capture has taken the lock');
    }
  })().catch(onLost);
  return {
    signal: broken.signal,
    [Symbol.dispose]: () => {
      ended.abort();
      control.off('error', onLost);
    },
  };
}

import type { Connection } from 'mysql2/promise';
import { expectedNow } from '../expected.ts';
import type { History } from '../history.ts';

/** So that one case's locks are found, and the values arrive as they are written. */
export const WRITER = [
  'SET autocommit = 1',
  'SET lock_wait_timeout = 10',
  'SET innodb_lock_wait_timeout = 10',
  'SET SESSION transaction_read_only = 0',
  'SET SESSION tx_read_only = 0',
  'SET SESSION completion_type = 0',
  'SET SESSION sql_safe_updates = 0',
  'SET SESSION sql_auto_is_null = 0',
  'SET SESSION sql_big_selects = 1',
  'SET SESSION max_join_size = 18446744073709551615',
  'SET SESSION sql_select_limit = 18446744073709551615',
  'SET SESSION max_execution_time = 0',
  'SET SESSION max_statement_time = 0',
  "SET SESSION sql_mode = 'STRICT_TRANS_TABLES'",
  'SET SESSION default_storage_engine = InnoDB',
  'SET SESSION wait_timeout = 600',
  'SET NAMES utf8mb4',
];

/** The judge's session is as everybody expects one, whatever the server's defaults are. */
export async function makeJudge(
  judge: Connection,
  name: string,
  clause: string,
  zone: string,
): Promise<void> {
  await tryQuietly(judge, WRITER);
  await judge.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
  await judge.query("SET SESSION sql_mode = ''");
  await judge.query('SET time_zone = ?', [zone]);
  await judge.query(`ALTER DATABASE ${name} ${clause}`);
  await judge.query('CREATE TABLE seen_customers (id BIGINT UNSIGNED PRIMARY KEY) ENGINE = InnoDB');
  await judge.query(
    'CREATE TABLE seen_views (id BIGINT UNSIGNED, email VARCHAR(190), PRIMARY KEY (id, email)) ENGINE = InnoDB CHARACTER SET utf8mb4',
  );
}

/** A setting that this version does not have is passed over. */
export async function tryQuietly(
  connection: Connection,
  statements: readonly string[],
): Promise<void> {
  for (const sql of statements) await connection.query(sql).catch(() => undefined);
}

/** What the rule says of everyone after a commit, and every view that counts. */
export async function note(judge: Connection, history: History): Promise<void> {
  // With those that are gone: the rule says of them that there is nothing.
  await judge.query('INSERT IGNORE INTO seen_customers SELECT id FROM customers');
  const [ids] = await judge.query('SELECT id FROM seen_customers');
  await judge.query(
    'INSERT IGNORE INTO seen_views SELECT v.id, c.email FROM page_views v JOIN customers c ON c.id = v.user_id',
  );
  const found = [...(await expectedNow(judge)).values()];
  for (const { id } of ids as { id: number | string }[]) {
    const userId = String(id);
    history.committed(userId, found.find((one) => one.userId === userId) ?? null);
  }
}

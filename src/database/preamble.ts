/**
 * A session begins as the server's global variables have it, and some of those change answers:
 * with autocommit=0 it keeps its first snapshot for ever, with sql_select_limit it leaves rows out,
 * with NO_BACKSLASH_ESCAPES it reads mysql2's escapes otherwise. So every session that the program
 * opens is made the same first, whoever opened it. Only what a user without privileges may set is
 * among it, each with a literal: DEFAULT would be the server's global value (but for `timestamp`).
 */
const EVERYWHERE = [
  'autocommit = 1',
  "completion_type = 'NO_CHAIN'",
  "sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
  'NAMES utf8mb4 COLLATE utf8mb4_general_ci',
  // Errors of the log are told apart by their English texts.
  "lc_messages = 'en_US'",
  'timestamp = DEFAULT',
  'sql_select_limit = 18446744073709551615',
  'max_join_size = 18446744073709551615',
  // After max_join_size, which turns it off.
  'sql_big_selects = 1',
  'sql_safe_updates = 0',
  'sql_auto_is_null = 0',
  'foreign_key_checks = 1',
  'unique_checks = 1',
  "default_storage_engine = 'InnoDB'",
  'lock_wait_timeout = 60',
  'innodb_lock_wait_timeout = 50',
  'wait_timeout = 28800',
  'net_read_timeout = 60',
  'net_write_timeout = 60',
  'tmp_table_size = 16777216',
  'max_heap_table_size = 16777216',
  'sort_buffer_size = 262144',
  'join_buffer_size = 262144',
  'read_buffer_size = 131072',
  'read_rnd_buffer_size = 262144',
];

/** Names and syntax of MySQL 8.0 and later. */
const ON_MYSQL = [
  "transaction_isolation = 'READ-COMMITTED'",
  'transaction_read_only = 0',
  'range_optimizer_max_mem_size = 8388608',
];

/** Of MariaDB 10.11 and later. */
const ON_MARIADB = [
  "tx_isolation = 'READ-COMMITTED'",
  'tx_read_only = 0',
  'max_session_mem_used = 9223372036854775807',
  'tmp_disk_table_size = 18446744073709551615',
  "query_cache_type = 'OFF'",
  'system_versioning_asof = DEFAULT',
];

/**
 * Each server takes the comment that is for it and passes over the other, whatever its version:
 * MariaDB leaves out /*! with versions of MySQL from 5.7 on.
 * https://mariadb.com/kb/en/comment-syntax/
 */
function assignments(
  everywhere: readonly string[],
  onMysql: readonly string[],
  onMariadb: readonly string[],
): string {
  const glue = everywhere.length === 0 ? '' : ', ';
  return `SET ${everywhere.join(', ')}/*!80000 ${glue}${onMysql.join(', ')} *//*M!101100 ${glue}${onMariadb.join(', ')} */`;
}

const onMysqlMs = (ms: number): string => `max_execution_time = ${Math.ceil(ms)}`;
const onMariadbMs = (ms: number): string => `max_statement_time = ${ms / 1000}`;

/**
 * What a session begins with, in one round trip; its one parameter is the time zone. The server
 * ends its queries after `queryMsMax` by itself, 0: never.
 */
export function preamble(queryMsMax: number): string {
  return assignments(
    ['time_zone = ?', ...EVERYWHERE],
    [...ON_MYSQL, onMysqlMs(queryMsMax)],
    [...ON_MARIADB, onMariadbMs(queryMsMax)],
  );
}

/** Another time limit for the queries of a session that has begun. */
export function queryLimit(queryMsMax: number): string {
  return assignments([], [onMysqlMs(queryMsMax)], [onMariadbMs(queryMsMax)]);
}

/** The server gives up a query this much later than we do: then nobody waits for its answer. */
export const SERVER_MARGIN_MS = 1_000;

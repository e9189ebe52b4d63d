import type { Connection } from 'mysql2/promise';
import type { DatabaseKind } from '../../../tools/services/services.ts';
import type { Dice } from './dice.ts';

/** What a server is started with, and what is then set on it for one case. */
export interface OddServer {
  flags: string[];
  /** MySQL alone. */
  gtid: boolean;
}

const MYSQL_FLAGS = [
  '--binlog-checksum=NONE',
  '--character-set-server=latin1',
  '--collation-server=utf8mb4_bin',
  '--innodb-native-foreign-keys=ON',
  '--explicit-defaults-for-timestamp=OFF',
  '--binlog-rows-query-log-events=ON',
  '--binlog-order-commits=OFF',
  '--default-storage-engine=MyISAM',
];
const MARIADB_FLAGS = [
  '--binlog-checksum=NONE',
  '--skip-character-set-client-handshake',
  '--character-set-server=latin1',
  '--collation-server=utf8mb4_bin',
  '--lower-case-table-names=1',
  '--log-bin-compress=ON',
  '--gtid-domain-id=7',
  '--gtid-strict-mode=ON',
  '--binlog-annotate-row-events=OFF',
  '--default-storage-engine=Aria',
  '--explicit-defaults-for-timestamp=OFF',
  '--binlog-legacy-event-pos=ON',
];

/** Options that 10.11 does not know are left out there. */
const isFor = (kind: DatabaseKind, flag: string): boolean =>
  kind !== 'mariadb' || !flag.includes('legacy-event-pos');

/** Draws how a server is started. */
export function drawServer(dice: Dice, kind: DatabaseKind): OddServer {
  const all = (kind === 'mysql' ? MYSQL_FLAGS : MARIADB_FLAGS).filter((flag) => isFor(kind, flag));
  const gtid = kind !== 'mysql' || !dice.chance(0.4);
  const semiSync =
    kind === 'mysql'
      ? ['--plugin-load-add=semisync_source.so']
      : ['--rpl-semi-sync-master-wait-point=AFTER_SYNC'];
  return { flags: [...dice.some(all, 3), ...semiSync], gtid };
}

/** How long a commit is in the log before it can be seen, without a replica that answers for it. */
const HELD_MS = 2_500;

/** Has the next commit held up so. The one after it is not: the server gives the replicas up. */
export async function holdNextCommit(connection: Connection, kind: DatabaseKind): Promise<void> {
  const [side, replica] = kind === 'mysql' ? ['source', 'replica'] : ['master', 'slave'];
  const variable = `rpl_semi_sync_${side}`;
  await connection.query(`SET GLOBAL ${variable}_enabled = OFF`);
  await connection.query(`SET GLOBAL ${variable}_timeout = ${HELD_MS}`);
  await connection.query(`SET GLOBAL ${variable}_wait_no_${replica} = ON`);
  await connection.query(`SET GLOBAL ${variable}_enabled = ON`);
}

/** Global variables, with values that some server somewhere has. */
const BOTH: Record<string, readonly (string | number)[]> = {
  autocommit: ['OFF'],
  sql_mode: [
    '',
    'TRADITIONAL',
    'ANSI',
    'ANSI_QUOTES,NO_BACKSLASH_ESCAPES',
    'PAD_CHAR_TO_FULL_LENGTH',
    'PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,IGNORE_SPACE',
    'NO_UNSIGNED_SUBTRACTION,REAL_AS_FLOAT',
    'ONLY_FULL_GROUP_BY,NO_ZERO_DATE',
  ],
  transaction_isolation: ['READ-UNCOMMITTED', 'READ-COMMITTED', 'SERIALIZABLE'],
  transaction_read_only: ['ON'],
  time_zone: ['+05:30', '-11:00', 'America/Chicago', 'Europe/Berlin'],
  sql_select_limit: [1, 3],
  sql_safe_updates: ['ON'],
  sql_auto_is_null: ['ON'],
  sql_big_selects: ['OFF'],
  max_join_size: [1, 50],
  group_concat_max_len: [4],
  collation_connection: ['latin1_swedish_ci', 'utf8mb4_bin'],
  character_set_client: ['latin1'],
  character_set_results: ['latin1'],
  lc_time_names: ['de_DE'],
  div_precision_increment: [0],
  completion_type: ['CHAIN'],
  big_tables: ['ON'],
  wait_timeout: [3],
  lock_wait_timeout: [1],
  sort_buffer_size: [32768],
  max_sort_length: [8],
  binlog_row_metadata: ['MINIMAL'],
  binlog_row_image: ['MINIMAL', 'NOBLOB'],
  binlog_format: ['STATEMENT', 'MIXED'],
  foreign_key_checks: ['OFF'],
  unique_checks: ['OFF'],
  event_scheduler: ['ON'],
  default_week_format: [3],
};
const MYSQL: Record<string, readonly (string | number)[]> = {
  max_execution_time: [1],
  binlog_transaction_compression: ['ON'],
  binlog_row_value_options: ['PARTIAL_JSON'],
  binlog_row_event_max_size: [],
  windowing_use_high_precision: ['OFF'],
  default_table_encryption: [],
  sql_require_primary_key: [],
  print_identified_with_as_hex: ['ON'],
  show_create_table_verbosity: ['ON'],
  information_schema_stats_expiry: [0],
};
const MARIADB: Record<string, readonly (string | number)[]> = {
  sql_mode: [...(BOTH['sql_mode'] ?? []), 'ORACLE', 'MSSQL', 'EMPTY_STRING_IS_NULL'],
  max_statement_time: [0.05],
  in_predicate_conversion_threshold: [1, 2],
  old_mode: ['', 'NO_PROGRESS_INFO,ZERO_DATE_TIME_CAST'],
  sql_if_exists: ['ON'],
  optimizer_use_condition_selectivity: [1],
  join_cache_level: [0, 8],
  rowid_merge_buff_size: [0],
  standard_compliant_cte: ['OFF'],
  column_compression_threshold: [0],
};

/** Draws the variables of one case: their names and values, in the order in which they are set. */
export function drawGlobals(dice: Dice, kind: DatabaseKind): [string, string | number][] {
  const all = { ...BOTH, ...(kind === 'mysql' ? MYSQL : MARIADB) };
  const named = Object.entries(all).filter(([, values]) => values.length > 0);
  return dice.some(named, 6).map(([name, values]) => [name, dice.of(values)]);
}

/** A number above 2^53 comes as text, and goes back as a number. */
const literal = (value: string | number): string =>
  /^\d+$/.test(String(value)) ? String(value) : `'${value}'`;

/**
 * Sets them for connections to come, and returns what puts them back. What this version does not
 * know, or does not let anyone set, is answered by name.
 */
export async function setGlobals(
  connection: Connection,
  globals: readonly [string, string | number][],
): Promise<{ unknown: string[]; restore: () => Promise<void> }> {
  const before: [string, string | number][] = [];
  const unknown: string[] = [];
  for (const [name, value] of globals) {
    try {
      const [rows] = await connection.query(`SELECT @@GLOBAL.${name} AS value`);
      await connection.query(`SET GLOBAL ${name} = ?`, [value]);
      before.push([name, (rows as { value: string | number }[])[0]?.value ?? '']);
    } catch {
      unknown.push(name);
    }
  }
  const restore = async (): Promise<void> => {
    for (const [name, value] of before.toReversed()) {
      await connection.query(`SET GLOBAL ${name} = ${literal(value)}`);
    }
  };
  return { unknown, restore };
}

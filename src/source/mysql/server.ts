import type { Connection } from 'mysql2/promise';
import { IDENTITY_VARIABLES, identityOf } from '../../database/server.ts';
import { untilCommitsAreVisible } from '../../database/semi-sync.ts';
import { OUR_TABLES } from '../../model/columns.ts';
import type { DatabaseSettings } from '../../settings/types.ts';
import type { NamedTable } from './dump/events.ts';
import type { Flavour, LogPosition } from './position.ts';

/** What the server says of itself. */
export interface ServerFacts {
  flavour: Flavour;
  version: string;
  /** server_uuid; MariaDB: server_uid where there is one; else the server id. */
  serverUuid: string;
  /** Whether positions are GTIDs: always on MariaDB, with gtid_mode=ON on MySQL. */
  hasGtids: boolean;
  variables: ReadonlyMap<string, string>;
}

type Rows = Record<string, unknown>[];

const VARIABLES = [
  ...IDENTITY_VARIABLES,
  'lower_case_table_names',
  'log_bin',
  'log_replica_updates',
  'log_slave_updates',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'binlog_row_value_options',
  'binlog_transaction_compression',
  'gtid_mode',
  'sync_binlog',
  'binlog_expire_logs_seconds',
  'expire_logs_days',
];

/** How long a query may take that only asks the server about itself. */
const QUERY_MS_MAX = 10_000;

export async function rowsOf(
  connection: Connection,
  sql: string,
  values: (string | number | readonly (string | number)[])[] = [],
  timeoutMs = QUERY_MS_MAX,
): Promise<Rows> {
  const [rows] = await connection.query({ sql, timeout: timeoutMs }, values);
  return rows as Rows;
}

export async function readServerFacts(connection: Connection): Promise<ServerFacts> {
  const rows = await rowsOf(connection, 'SHOW GLOBAL VARIABLES WHERE Variable_name IN (?)', [
    VARIABLES,
  ]);
  const variables = new Map(
    rows.map((row) => [String(row['Variable_name']), String(row['Value'])]),
  );
  const version = variables.get('version') ?? '';
  const { flavour, id } = identityOf(variables);
  return {
    flavour,
    version,
    variables,
    serverUuid: id,
    hasGtids: flavour === 'mariadb' || variables.get('gtid_mode') === 'ON',
  };
}

/** The two tables as the binlog may name them, which depends on lower_case_table_names. */
export function tablesOf(
  source: ServerFacts,
  { name: database, model }: Pick<DatabaseSettings, 'name' | 'model'>,
): NamedTable[] {
  const isExact = source.variables.get('lower_case_table_names') === '0';
  const spellings = (name: string): string[] =>
    isExact ? [name] : [...new Set([name, name.toLowerCase()])];
  return spellings(database).flatMap((schema) =>
    OUR_TABLES.flatMap((table) =>
      spellings(model.tables[table]).map((name) => ({
        schema,
        name,
        table,
        columns: model.columns[table],
      })),
    ),
  );
}

/** The first statement that this server knows: names changed over the versions. */
async function firstKnown(connection: Connection, statements: readonly string[]): Promise<Rows> {
  let last: unknown;
  for (const statement of statements) {
    try {
      return await rowsOf(connection, statement);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ER_PARSE_ERROR') throw error;
      last = error;
    }
  }
  throw last;
}

/** The log's end, and the databases that it has or leaves out (comma lists, empty for all or none). */
export interface LogStatus {
  file: string;
  position: number;
  doDb: string;
  ignoreDb: string;
}

/** Needs REPLICATION CLIENT (MariaDB: BINLOG MONITOR). */
export async function readLogStatus(connection: Connection): Promise<LogStatus> {
  const statements = ['SHOW BINARY LOG STATUS', 'SHOW MASTER STATUS', 'SHOW BINLOG STATUS'];
  const [row] = await firstKnown(connection, statements);
  return {
    file: String(row?.['File']),
    position: Number(row?.['Position']),
    doDb: String(row?.['Binlog_Do_DB'] ?? ''),
    ignoreDb: String(row?.['Binlog_Ignore_DB'] ?? ''),
  };
}

export async function readLogEnd(
  connection: Connection,
): Promise<{ file: string; position: number }> {
  const { file, position } = await readLogStatus(connection);
  return { file, position };
}

/** What the server replicates, a row a channel; needs REPLICATION CLIENT. */
export const readReplicaStatus = (connection: Connection): Promise<Rows> =>
  firstKnown(connection, ['SHOW REPLICA STATUS', 'SHOW SLAVE STATUS']);

/** Needs REPLICATION SLAVE on MySQL. */
export const listReplicas = (connection: Connection): Promise<Rows> =>
  firstKnown(connection, ['SHOW REPLICAS', 'SHOW SLAVE HOSTS']);

export interface LogFile {
  name: string;
  bytes: number;
}

/** Oldest first. */
export async function readLogFiles(connection: Connection): Promise<LogFile[]> {
  const rows = await rowsOf(connection, 'SHOW BINARY LOGS');
  return rows.map((row) => ({ name: String(row['Log_name']), bytes: Number(row['File_size']) }));
}

async function gtidVariable(connection: Connection, name: string): Promise<string> {
  const [row] = await rowsOf(connection, `SELECT @@GLOBAL.${name} AS gtids`);
  return String(row?.['gtids'] ?? '').replace(/\s/g, '');
}

export const readExecuted = (connection: Connection): Promise<string> =>
  gtidVariable(connection, 'gtid_executed');
export const readPurged = (connection: Connection): Promise<string> =>
  gtidVariable(connection, 'gtid_purged');

/** Whether one GTID set is within another, by the server's own reckoning (MySQL). */
export async function isSubset(
  connection: Connection,
  inner: string,
  outer: string,
): Promise<boolean> {
  const [row] = await rowsOf(connection, 'SELECT GTID_SUBSET(?, ?) AS isSubset', [inner, outer]);
  return Number(row?.['isSubset']) === 1;
}

/** The end of the log now. */
export async function readNow(connection: Connection, source: ServerFacts): Promise<LogPosition> {
  if (source.flavour === 'mariadb')
    return { gtidSet: await gtidVariable(connection, 'gtid_binlog_pos') };
  if (source.hasGtids) return { gtidSet: await readExecuted(connection) };
  return readLogEnd(connection);
}

/** Where the first event of a file is. */
const FIRST_EVENT = 4;

/** The beginning of what the server still has. */
export async function readEarliest(
  connection: Connection,
  source: ServerFacts,
): Promise<LogPosition> {
  if (source.flavour === 'mysql' && source.hasGtids) {
    return { gtidSet: await readPurged(connection) };
  }
  const [first] = await readLogFiles(connection);
  const file = first?.name ?? '';
  if (source.flavour === 'mysql') return { file, position: FIRST_EVENT };
  return { gtidSet: await gtidsAt(connection, file, FIRST_EVENT) };
}

/** MariaDB: what was logged before this position. @throws Error when the server does not say. */
async function gtidsAt(connection: Connection, file: string, position: number): Promise<string> {
  const [row] = await rowsOf(connection, 'SELECT BINLOG_GTID_POS(?, ?) AS gtids', [file, position]);
  const gtids = row?.['gtids'];
  // An empty text would be the beginning of all logs.
  if (gtids === null || gtids === undefined) {
    throw new Error(`the server names no GTIDs for ${file}:${position}`);
  }
  return String(gtids);
}

/**
 * A position such that all transactions before it are visible to queries from now on. The end of
 * the log is not: a transaction is written there first and visible a moment later.
 */
export async function readVisible(
  connection: Connection,
  source: ServerFacts,
): Promise<LogPosition> {
  if (source.flavour === 'mysql') {
    // gtid_executed gets a transaction after the engine committed it.
    if (source.hasGtids) return { gtidSet: await readExecuted(connection) };
    const end = await readLogEnd(connection);
    await untilCommitsAreVisible((sql) => rowsOf(connection, sql));
    return end;
  }
  // The log's position that belongs to the snapshot.
  // https://mariadb.com/kb/en/enhancements-for-start-transaction-with-consistent-snapshot/
  await connection.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
  try {
    const status = await rowsOf(connection, "SHOW STATUS LIKE 'binlog_snapshot_%'");
    const values = new Map(
      status.map((row) => [String(row['Variable_name']).toLowerCase(), row['Value']]),
    );
    const file = String(values.get('binlog_snapshot_file'));
    const position = Number(values.get('binlog_snapshot_position'));
    return { gtidSet: await gtidsAt(connection, file, position) };
  } finally {
    await connection.query('COMMIT');
  }
}

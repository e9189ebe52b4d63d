import { type DataModel, indexStatement, quoted } from '../../model/data-model.ts';
import type { Check } from '../../source/mysql/checks/check.ts';

/** What of the database's state decides which statements it still needs. */
export interface ServerFound {
  /** The account that the server took the user for, `user@host`; null: not known. */
  account: string | null;
  database: string;
  model: DataModel;
  flavour: 'mysql' | 'mariadb';
  /** Whether the user may read the tables, be they there or not. */
  mayRead: boolean;
  checks: readonly Check[];
}

/** Variables that may be set while the server runs, by the check that asks for them. */
const VARIABLES: Readonly<Record<string, readonly [string, string]>> = {
  'binlog format': ['binlog_format', "'ROW'"],
  'row image': ['binlog_row_image', "'FULL'"],
  'row metadata': ['binlog_row_metadata', "'FULL'"],
  'row values': ['binlog_row_value_options', "''"],
  compression: ['binlog_transaction_compression', 'OFF'],
  'server id': ['server_id', '1'],
  retention: ['binlog_expire_logs_seconds', '604800'],
  sync: ['sync_binlog', '1'],
};
/** What only a start of the server can change. */
const AT_START: Readonly<Record<string, string>> = {
  binlog: 'log_bin = binlog',
  GTID: 'gtid_mode = ON, enforce_gtid_consistency = ON',
};
const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

function accountOf(account: string | null): string {
  const at = account?.lastIndexOf('@') ?? -1;
  if (account === null || at < 0) return "'iterable_sync'@'%'";
  return `${text(account.slice(0, at))}@${text(account.slice(at + 1))}`;
}

/** Checks that hold once the tables may be read. */
const BY_READING = new Set(['tables', 'columns', 'foreign keys', 'table kinds']);

/** What the server still needs. */
export interface ServerNeeds {
  /** Statements and comments, a line each; empty: nothing. */
  sql: string[];
  /** The checks that these put right. */
  covered: ReadonlySet<string>;
}

/**
 * What the server's administrator has to run: grants, variables, index; comments say what no
 * statement does. Run on a server that has part of it already, they change nothing of that.
 */
export function serverSql(found: ServerFound): ServerNeeds {
  const failed = new Set(found.checks.filter(({ ok }) => !ok).map((check) => check.name));
  const covered = new Set<string>();
  const account = accountOf(found.account);
  const isMysql = found.flavour === 'mysql';
  const sql: string[] = [];
  const needed = <T>(fixes: Readonly<Record<string, T>>): T[] =>
    Object.entries(fixes).flatMap(([check, fix]) => {
      if (!failed.has(check)) return [];
      covered.add(check);
      return [fix];
    });
  if (!found.mayRead) {
    sql.push(`GRANT SELECT ON ${quoted(found.database)}.* TO ${account};`);
    for (const check of BY_READING) covered.add(check);
  }
  const monitor = isMysql ? 'REPLICATION CLIENT' : 'BINLOG MONITOR';
  sql.push(...needed({ grants: `GRANT REPLICATION SLAVE, ${monitor} ON *.* TO ${account};` }));
  const atStart = needed(AT_START);
  if (atStart.length > 0) {
    sql.push("-- In the server's configuration, under [mysqld]; it takes a restart:");
    sql.push(...atStart.map((option) => `--   ${option}`));
  }
  const variables = needed(VARIABLES);
  if (!isMysql && variables.length > 0) {
    sql.push("-- In the server's configuration too, or a restart undoes them:");
  }
  for (const [variable, value] of variables) {
    sql.push(`SET ${isMysql ? 'PERSIST' : 'GLOBAL'} ${variable} = ${value};`);
  }
  if (!failed.has('tables')) {
    const [index] = needed({ index: indexStatement(found.model) });
    if (index !== undefined) sql.push(`USE ${quoted(found.database)};`, `${index};`);
  }
  return { sql, covered };
}

import type { Connection } from 'mysql2/promise';
import { userOf } from '../../../database/grants.ts';
import type { DatabaseSettings } from '../../../settings/types.ts';
import { type Check, type Verdict, check } from './check.ts';
import { checkFilters, checkReplicaLogs, syncVerdict } from './log-checks.ts';
import {
  type ServerFacts,
  listReplicas,
  readLogStatus,
  readServerFacts,
  rowsOf,
} from '../server.ts';
import { checkTables } from './table-checks.ts';
import { readDefinitions } from './table-definitions.ts';

export { type Check, refusalOf } from './check.ts';

/** Binlogs kept for less are gone after a short outage. */
const RETENTION_SECONDS_MIN = 86_400;

/**
 * What of the server's variables would lose rows. Names and values as of MySQL 8.0 to 9.x
 * (https://dev.mysql.com/doc/refman/9.4/en/replication-options-binary-log.html) and MariaDB; a
 * variable that a version no longer has is as it should be.
 */
export function checkVariables(
  source: Pick<ServerFacts, 'flavour' | 'variables' | 'hasGtids'>,
): Check[] {
  const { flavour, variables, hasGtids } = source;
  const is = (variable: string, wanted: string, option: string): Verdict => {
    const value = variables.get(variable);
    const ok = value === undefined || value.toUpperCase() === wanted;
    return { ok, detail: `${variable}=${value ?? wanted}`, fix: `set ${option} on the server` };
  };
  const metadata = variables.get('binlog_row_metadata');
  const checks = [
    check('binlog', { ...is('log_bin', 'ON', 'log_bin'), fix: 'start the server with --log-bin' }),
    check('binlog format', is('binlog_format', 'ROW', 'binlog_format=ROW')),
    check('row image', is('binlog_row_image', 'FULL', 'binlog_row_image=FULL')),
    check('row metadata', {
      ok: metadata?.toUpperCase() === 'FULL',
      detail: metadata === undefined ? 'no binlog_row_metadata' : `binlog_row_metadata=${metadata}`,
      fix:
        metadata === undefined
          ? 'use MySQL 8.0.1 or later, or MariaDB 10.5 or later'
          : 'set binlog_row_metadata=FULL on the server',
    }),
    check('server id', {
      ok: variables.get('server_id') !== '0',
      detail: `server_id=${variables.get('server_id')}`,
      fix: 'set server_id to another number than 0',
    }),
    retention(variables),
    check('sync', syncVerdict(variables), false),
  ];
  if (flavour === 'mariadb') return checks;
  const gtidMode = `gtid_mode=${variables.get('gtid_mode')}`;
  const gtidFix =
    'set gtid_mode=ON and enforce_gtid_consistency=ON, so that a failover loses no place';
  const options = variables.get('binlog_row_value_options') ?? '';
  checks.push(
    check(
      'compression',
      is('binlog_transaction_compression', 'OFF', 'binlog_transaction_compression=OFF'),
    ),
    check('row values', {
      ok: options === '',
      detail: `binlog_row_value_options=${options}`,
      fix: 'set binlog_row_value_options to the empty string',
    }),
    check('GTID', { ok: hasGtids, detail: gtidMode, fix: gtidFix }, false),
  );
  return checks;
}

/** MariaDB counts in days where the seconds are 0; 0 in both is for ever. */
function retention(variables: ReadonlyMap<string, string>): Check {
  const inSeconds = Number(variables.get('binlog_expire_logs_seconds') ?? 0);
  const seconds =
    inSeconds > 0 ? inSeconds : Number(variables.get('expire_logs_days') ?? 0) * 86_400;
  const ok = seconds === 0 || seconds >= RETENTION_SECONDS_MIN;
  const detail =
    seconds === 0 ? 'binlogs are kept until purged by hand' : `binlogs are kept ${seconds} s`;
  const fix =
    'set binlog_expire_logs_seconds to 86400 at least: a longer outage starts anew from all eligible users';
  return check('retention', { ok, detail, fix }, false);
}

/** Whether a grant on *.* holds this privilege (MariaDB; MySQL is asked by doing). */
export function hasGlobalGrant(grants: readonly string[], privileges: readonly string[]): boolean {
  return grants.some((grant) => {
    const match = /^GRANT (.*) ON \*\.\* TO /i.exec(grant);
    if (match === null) return false;
    const granted = (match[1] ?? '').toUpperCase().split(/\s*,\s*/);
    return (
      granted.includes('ALL PRIVILEGES') ||
      privileges.some((privilege) => granted.includes(privilege))
    );
  });
}

const DENIED = new Set(['ER_SPECIFIC_ACCESS_DENIED_ERROR', 'ER_ACCESS_DENIED_ERROR']);

/** Null where a grant is missing; any other error, such as a server that stalls, says nothing of it. */
async function unlessDenied<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (DENIED.has((error as { code?: string }).code ?? '')) return null;
    throw error;
  }
}

/** The grants, and what the log's status says of filters. */
async function checkGrants(
  connection: Connection,
  source: ServerFacts,
  db: DatabaseSettings,
): Promise<Check[]> {
  const monitor = source.flavour === 'mariadb' ? 'BINLOG MONITOR' : 'REPLICATION CLIENT';
  const missing: string[] = [];
  const log = await unlessDenied(readLogStatus(connection));
  if (log === null) missing.push(monitor);
  if (source.flavour === 'mysql') {
    if ((await unlessDenied(listReplicas(connection))) === null) missing.push('REPLICATION SLAVE');
  } else {
    const grants = await rowsOf(connection, 'SHOW GRANTS');
    const texts = grants.map((row) => String(Object.values(row)[0]));
    if (!hasGlobalGrant(texts, ['REPLICATION SLAVE', 'REPLICATION REPLICA']))
      missing.push('REPLICATION SLAVE');
  }
  const names = missing.toReversed().join(', ');
  const grants = check('grants', {
    ok: missing.length === 0,
    detail:
      missing.length === 0 ? `REPLICATION SLAVE, ${monitor}` : `the user ${db.user} lacks ${names}`,
    fix: `run GRANT ${names} ON *.* TO ${userOf(db)}`,
  });
  if (log === null) return [grants];
  return [grants, checkFilters(log, db.name), await checkReplicaLogs(connection, source)];
}

/**
 * Everything that capture asks of the server, on an open connection with the database chosen.
 * Rejects only when the connection breaks.
 */
export async function checkSource(connection: Connection, db: DatabaseSettings): Promise<Check[]> {
  const source = await readServerFacts(connection);
  const reachable = check('database', { ok: true, detail: source.version, fix: '' });
  return [
    reachable,
    ...(await checkGrants(connection, source, db)),
    ...(await checkTables(connection, source, db)),
    ...(await readDefinitions(connection, db)).checks,
    ...checkVariables(source),
  ];
}

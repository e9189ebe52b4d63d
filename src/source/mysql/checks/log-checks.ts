import type { Connection } from 'mysql2/promise';
import { type Check, type Verdict, check } from './check.ts';
import { type LogStatus, type ServerFacts, readReplicaStatus, rowsOf } from '../server.ts';

/** A log that leaves the database out has none of its rows. */
export function checkFilters({ doDb, ignoreDb }: LogStatus, database: string): Check {
  const names = (list: string): string[] =>
    list === '' ? [] : list.split(',').map((name) => name.trim());
  const isLeftOut = names(doDb).length > 0 && !names(doDb).includes(database);
  const isIgnored = names(ignoreDb).includes(database);
  const filters = [
    ...(isLeftOut ? [`binlog_do_db=${doDb}`] : []),
    ...(isIgnored ? [`binlog_ignore_db=${ignoreDb}`] : []),
  ];
  return check('log filters', {
    ok: filters.length === 0,
    detail: filters.length === 0 ? `none that leaves out ${database}` : filters.join(', '),
    fix: `start the server so that it logs ${database}`,
  });
}

/** A replica logs what it replicates only with log_replica_updates; on MariaDB that is off by default. */
export async function checkReplicaLogs(
  connection: Connection,
  source: ServerFacts,
): Promise<Check> {
  const isMariadb = source.flavour === 'mariadb';
  const name = isMariadb ? 'log_slave_updates' : 'log_replica_updates';
  const value = source.variables.get(name) ?? source.variables.get('log_slave_updates') ?? 'ON';
  const isReplica = value !== 'ON' && (await replicates(connection, isMariadb));
  return check('replica log', {
    ok: !isReplica,
    detail: isReplica ? `a replica with ${name}=${value}` : 'has all that the server changes',
    fix: `start the server with ${name}, or set DB_HOST to the primary`,
  });
}

async function replicates(connection: Connection, isMariadb: boolean): Promise<boolean> {
  if (!isMariadb) return (await readReplicaStatus(connection)).length > 0;
  // SHOW REPLICA STATUS would need one more grant there.
  const [row] = await rowsOf(connection, "SHOW GLOBAL STATUS LIKE 'Slaves_running'");
  return Number(row?.['Value'] ?? 0) > 0;
}

/** A crash of the machine then loses transactions of the log that the tables have, or keeps such as they lost. */
export function syncVerdict(variables: ReadonlyMap<string, string>): Verdict {
  const value = variables.get('sync_binlog');
  return {
    ok: value === undefined || value === '1',
    detail: `sync_binlog=${value ?? '1'}`,
    fix: 'set sync_binlog=1 on the server: after a crash of its machine the binlog may lack the last changes, or have some that the tables lost',
  };
}

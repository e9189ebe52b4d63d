import { randomBytes } from 'node:crypto';
import type { Connection } from 'mysql2/promise';
import type { DatabaseSettings } from '../../src/settings/types.ts';
import type { Flavour } from '../../tools/services/services.ts';

/** The same database by a user of its own, who has the README's grants and nothing else. */
export async function asLeastUser(
  connection: Connection,
  flavour: Flavour,
  settings: DatabaseSettings,
): Promise<DatabaseSettings> {
  const user = `least_${randomBytes(4).toString('hex')}`;
  const password = 'least-secret';
  const monitor = flavour === 'mysql' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR';
  await connection.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
  await connection.query(`GRANT SELECT ON ${settings.name}.* TO '${user}'@'%'`);
  await connection.query(`GRANT REPLICATION SLAVE, ${monitor} ON *.* TO '${user}'@'%'`);
  return { ...settings, user, password };
}

import { readFileSync } from 'node:fs';
import type { Connection } from 'mysql2/promise';
import { userOf } from '../capture/table-definitions.ts';
import { connect } from '../database/connect.ts';
import { explainDatabaseError } from '../database/explain.ts';
import { UnavailableError, UsageError } from '../errors.ts';
import type { DatabaseSettings } from '../settings/types.ts';
import type { CommandContext } from './context.ts';

const SETUP = new URL('../../sql/database_setup.sql', import.meta.url);
const TABLES = ['page_views', 'customers'];

async function tablesThere(connection: Connection): Promise<string[]> {
  const [rows] = await connection.query(
    'SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN (?)',
    [TABLES],
  );
  return (rows as { name: string }[]).map(({ name }) => name);
}

const DENIED = new Set([
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
]);

/** The grants that this command needs and no other one does, where one of them is missing. */
function denied(error: unknown, db: DatabaseSettings, reset: boolean): UnavailableError | null {
  if (!DENIED.has((error as { code?: string }).code ?? '')) return null;
  const grants = ['CREATE', 'REFERENCES', 'INSERT', ...(reset ? ['DROP'] : [])];
  return new UnavailableError(
    `the user ${db.user} may not set up the database ${db.name}; run GRANT ${grants.join(', ')} ON \`${db.name}\`.* TO ${userOf(db)}, or run setup-db once as another user: DB_USER=root DB_PASSWORD=… before the command`,
    { cause: error },
  );
}

/** Creates the database and applies `sql/database_setup.sql`; refuses when the tables exist. */
export async function setupDatabase(context: CommandContext, reset: boolean): Promise<number> {
  const { db } = context.settings;
  try {
    const connection = await connect(db, 0, { database: '', multipleStatements: true });
    try {
      await connection.query('CREATE DATABASE IF NOT EXISTS ?? CHARACTER SET utf8mb4', [db.name]);
      await connection.query('USE ??', [db.name]);
      const there = await tablesThere(connection);
      if (there.length > 0 && !reset) {
        throw new UsageError(
          `the database ${db.name} already has ${there.join(' and ')}; setup-db --reset drops them with all that is in them`,
        );
      }
      // Without tables, the privilege to drop some is not asked for.
      if (there.length > 0) await connection.query('DROP TABLE page_views, customers');
      await connection.query(readFileSync(SETUP, 'utf8'));
    } finally {
      connection.destroy();
    }
  } catch (error) {
    throw error instanceof UsageError || error instanceof UnavailableError
      ? error
      : (denied(error, db, reset) ?? explainDatabaseError(error, db));
  }
  context.say(
    `Created customers and page_views in ${db.name} at ${db.host}:${db.port}, with seed data`,
  );
  return 0;
}

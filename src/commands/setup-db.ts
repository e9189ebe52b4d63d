import { readFileSync } from 'node:fs';
import type { Connection } from 'mysql2/promise';
import { connect } from '../database/connect.ts';
import { explainDatabaseError } from '../database/explain.ts';
import { userOf } from '../database/grants.ts';
import { UnavailableError, UsageError } from '../errors.ts';
import { OUR_TABLES, type OurTable } from '../model/columns.ts';
import { type DataModel, columnOf, isSameColumn, quoted } from '../model/data-model.ts';
import type { DatabaseSettings } from '../settings/types.ts';
import type { CommandContext } from './context.ts';

const SETUP = new URL('../../sql/database_setup.sql', import.meta.url);
const NAMES = /REFERENCES `(\w+)` \(`(\w+)`\)|`(\w+)`/g;

/** The file's statements, with the names in backticks by what they are called. */
export function setupText(text: string, model: DataModel): string {
  const called = (table: OurTable, role: string): string =>
    quoted(columnOf(model, table, role) ?? role);
  // Each statement is of one table, but for what it refers to.
  return text
    .split(/(?=^(?:CREATE TABLE|INSERT INTO) )/m)
    .map((statement) => {
      const name = /`(\w+)`/.exec(statement)?.[1];
      const table = OUR_TABLES.find((one) => one === name);
      if (table === undefined || !/^(?:CREATE|INSERT)/.test(statement)) return statement;
      return statement.replace(NAMES, (_text, other?: string, key = '', one = '') => {
        const parent = OUR_TABLES.find((each) => each === other);
        if (parent !== undefined) {
          return `REFERENCES ${quoted(model.tables[parent])} (${called(parent, key)})`;
        }
        return one === table ? quoted(model.tables[table]) : called(table, one);
      });
    })
    .join('');
}

async function tablesThere(connection: Connection, model: DataModel): Promise<string[]> {
  const [rows] = await connection.query(
    'SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN (?)',
    [Object.values(model.tables)],
  );
  // The one with the foreign key is dropped first.
  const isViews = ({ name }: { name: string }): number =>
    isSameColumn(name, model.tables.page_views) ? 0 : 1;
  return (rows as { name: string }[])
    .toSorted((a, b) => isViews(a) - isViews(b))
    .map(({ name }) => name);
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
    `the user ${db.user} may not set up the database ${db.name}; run GRANT ${grants.join(', ')} ON ${quoted(db.name)}.* TO ${userOf(db)}, or run setup-db once as another user: DB_USER=root DB_PASSWORD=… before the command`,
    { cause: error },
  );
}

/** Creates the database and applies `sql/database_setup.sql`; refuses when the tables exist. */
export async function setupDatabase(context: CommandContext, reset: boolean): Promise<number> {
  const { db } = context.settings;
  try {
    const connection = await connect(db, 0, { database: '', multipleStatements: true });
    try {
      await connection.query(
        `CREATE DATABASE IF NOT EXISTS ${quoted(db.name)} CHARACTER SET utf8mb4`,
      );
      await connection.query(`USE ${quoted(db.name)}`);
      const there = await tablesThere(connection, db.model);
      if (there.length > 0 && !reset) {
        throw new UsageError(
          `the database ${db.name} already has ${there.join(' and ')}; setup-db --reset drops them with all that is in them`,
        );
      }
      // Without tables, the privilege to drop some is not asked for.
      if (there.length > 0) await connection.query(`DROP TABLE ${there.map(quoted).join(', ')}`);
      await connection.query(setupText(readFileSync(SETUP, 'utf8'), db.model));
    } finally {
      connection.destroy();
    }
  } catch (error) {
    throw error instanceof UsageError || error instanceof UnavailableError
      ? error
      : (denied(error, db, reset) ?? explainDatabaseError(error, db));
  }
  context.say(
    `Created ${Object.values(db.model.tables).join(' and ')} in ${db.name} at ${db.host}:${db.port}, with seed data`,
  );
  return 0;
}

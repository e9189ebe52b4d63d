import type { Connection } from 'mysql2/promise';
import { checkSource } from '../../source/mysql/checks/checks.ts';
import type { Check } from '../../source/mysql/checks/check.ts';
import { OWN_QUERY_MS_MAX, connect } from '../../database/connect.ts';
import { explainDatabaseError } from '../../database/explain.ts';
import { UnavailableError } from '../../errors.ts';
import { quoted } from '../../model/data-model.ts';
import type { SettingName } from '../../settings/table.ts';
import type { DatabaseSettings, IterableSettings, Settings } from '../../settings/types.ts';
import { iterableChecks, topicsChecks } from '../doctor-checks.ts';
import { type ServerNeeds, serverSql } from './server-sql.ts';

/** What a try says of the values: they are taken, or which of them to give anew. */
export type Tried = { ok: true } | { ok: false; because: string; again: readonly SettingName[] };

/** The server's own words for a machine that it does not talk to. */
const SHUT_OUT = new Set(['ER_HOST_NOT_PRIVILEGED', 'ER_HOST_IS_BLOCKED']);

function codeOf(error: unknown): string {
  return String((error as { cause?: { code?: unknown } }).cause?.code);
}

/** Whether a database server answers there. Nobody logs in: to be refused is an answer. */
export async function tryServer(db: DatabaseSettings): Promise<Tried> {
  try {
    (await connect({ ...db, user: '', password: '' }, 0, { database: '' })).destroy();
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const code = codeOf(error);
    const refusal = (again: readonly SettingName[]): Tried => ({
      ok: false,
      because: error.message,
      again,
    });
    if (code === 'ER_SECURE_TRANSPORT_REQUIRED') return refusal(['DB_SSL']);
    if (!code.startsWith('ER_') || SHUT_OUT.has(code)) return refusal(['DB_HOST', 'DB_PORT']);
  }
  return { ok: true };
}

/** Whether the server lets this user in. */
export async function tryUser(db: DatabaseSettings): Promise<Tried> {
  try {
    (await connect(db, 0, { database: '' })).destroy();
    return { ok: true };
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const isTls = codeOf(error) === 'ER_SECURE_TRANSPORT_REQUIRED';
    const again = isTls ? (['DB_SSL'] as const) : (['DB_USER', 'DB_PASSWORD'] as const);
    return { ok: false, because: error.message, again };
  }
}

/** What the server has and what it still needs. */
export interface Inspected extends ServerNeeds {
  /** Why the database cannot be used as it is, in a sentence; null: it can. */
  missing: string | null;
  checks: readonly Check[];
}

/** Looks at the server and its tables; rejects with UnavailableError where it cannot be reached. */
export async function inspectDatabase(db: DatabaseSettings): Promise<Inspected> {
  const connection = await connect(db, OWN_QUERY_MS_MAX, { database: '' });
  try {
    const missing = await useDatabase(connection, db);
    const checks = await checkSource(connection, db);
    const [rows] = await connection.query('SELECT CURRENT_USER() AS account, VERSION() AS version');
    const [row] = rows as { account: string | null; version: string }[];
    const needs = serverSql({
      account: row?.account ?? null,
      database: db.name,
      model: db.model,
      flavour: /mariadb/i.test(row?.version ?? '') ? 'mariadb' : 'mysql',
      mayRead: await mayRead(connection, db),
      checks,
    });
    return { missing, checks, ...needs };
  } catch (error) {
    throw error instanceof UnavailableError ? error : explainDatabaseError(error, db);
  } finally {
    connection.destroy();
  }
}

/** The server looks at the privileges first, and then for the table. */
async function mayRead(connection: Connection, db: DatabaseSettings): Promise<boolean> {
  for (const table of Object.values(db.model.tables)) {
    try {
      await connection.query(`SELECT * FROM ${quoted(db.name)}.${quoted(table)} LIMIT 0`);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'ER_TABLEACCESS_DENIED_ERROR' || code === 'ER_DBACCESS_DENIED_ERROR') {
        return false;
      }
    }
  }
  return true;
}

async function useDatabase(connection: Connection, db: DatabaseSettings): Promise<string | null> {
  try {
    await connection.query(`USE ${quoted(db.name)}`);
    return null;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ER_BAD_DB_ERROR') {
      return `there is no database ${db.name} there; check DB_NAME, or let setup-db create it with seed data`;
    }
    if (code === 'ER_DBACCESS_DENIED_ERROR') {
      return `the user ${db.user} may not use a database ${db.name}, or there is none; check DB_NAME, or go on: the grant is printed at the end`;
    }
    throw error;
  }
}

/** Whether the brokers answer, where there are any. */
export async function tryKafka(settings: Settings): Promise<Tried> {
  if (settings.topics.kafka === null) return { ok: true };
  return ofChecks(await topicsChecks(settings, null), ['KAFKA_BROKERS']);
}

/** Whether Iterable answers, and takes the key. */
export async function tryIterable(iterable: IterableSettings): Promise<Tried> {
  return ofChecks(await iterableChecks(iterable, null), [
    'ITERABLE_API_BASE_URL',
    'ITERABLE_API_KEY',
  ]);
}

/** The first of the checks that has to hold and does not. */
function ofChecks(checks: readonly Check[], again: readonly SettingName[]): Tried {
  const failed = checks.find(({ ok, required }) => required && !ok);
  if (failed === undefined) return { ok: true };
  const { name, detail, fix } = failed;
  return { ok: false, because: `${name}: ${detail}${fix === null ? '' : `; ${fix}`}`, again };
}

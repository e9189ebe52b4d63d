import type { Connection } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { connect } from '../../src/database/connect.ts';
import { openDatabase } from '../../src/database/open.ts';
import { until } from '../support/program.ts';
import { freshDatabase, injectServices } from '../support/services.ts';

/** Runs for as long as nobody ends it: it does not notice that its client has gone. */
const ENDLESS = "SELECT BENCHMARK(1000000000000, SHA2('x', 256)) AS";

async function running(connection: Connection, mark: string): Promise<number> {
  const [rows] = await connection.query(
    'SELECT COUNT(*) AS queries FROM information_schema.PROCESSLIST WHERE INFO LIKE ?',
    [`SELECT BENCHMARK%${mark}`],
  );
  return Number((rows as { queries: number }[])[0]?.queries);
}

/** Waits until the server runs it, until the client gives it up (how), and until it has ended. */
async function failureOf(on: Connection, mark: string, query: Promise<unknown>): Promise<string> {
  const failure = query.then(
    () => 'an answer',
    (error: unknown) => String(error),
  );
  await until('it runs', async () => (await running(on, mark)) === 1);
  const text = await failure;
  await until('it has ended', async () => (await running(on, mark)) === 0);
  return text;
}

describe.each(['mysql', 'mariadb'] as const)('a query that is given up, on %s', (flavour) => {
  // Guards the limit in the preamble: it would run on, beside its next try.
  test('is ended by the server within seconds', async () => {
    await using fresh = await freshDatabase(injectServices()[flavour]);
    const mark = `pooled_${fresh.settings.name}`;
    await using database = await openDatabase(fresh.settings);
    const query = database.query(`${ENDLESS} ${mark}`, {}, 2_000);
    expect(await failureOf(fresh.connection, mark, query)).toContain('in time');
  });

  // Guards queryLimit: the limit is that of the query, not of the one before on its connection.
  test('has the time that it was given, whatever ran on its connection before', async () => {
    await using fresh = await freshDatabase(injectServices()[flavour]);
    const mark = `second_${fresh.settings.name}`;
    await using database = await openDatabase(fresh.settings);
    await database.session(async ({ query }) => {
      await query('SELECT 1', {}, 500);
      const [row] = await query('SELECT SLEEP(3) AS interrupted', {}, 60_000);
      expect(row).toEqual({ interrupted: 0 });
      const endless = query(`${ENDLESS} ${mark}`, {}, 2_000);
      expect(await failureOf(fresh.connection, mark, endless)).toContain('in time');
    });
  });

  test('is ended on a connection of its own as well', async () => {
    await using fresh = await freshDatabase(injectServices()[flavour]);
    const mark = `single_${fresh.settings.name}`;
    const connection = await connect(fresh.settings, 2_000);
    const query = connection.query({ sql: `${ENDLESS} ${mark}`, timeout: 2_000 });
    const failure = failureOf(fresh.connection, mark, query);
    await query.catch(() => connection.destroy());
    expect(await failure).toContain('timeout');
  });
});

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

/** Sees that the server runs it, then that the client gives it up, and then that it has ended. */
async function expectEnd(on: Connection, mark: string, query: Promise<unknown>): Promise<void> {
  const failure = query.then(
    () => 'an answer',
    (error: unknown) => String(error),
  );
  await until('it runs', async () => (await running(on, mark)) === 1);
  expect(await failure).toMatch(/in time|timeout/);
  await until('it has ended', async () => (await running(on, mark)) === 0);
}

describe.each(['mysql', 'mariadb'] as const)('a query that is given up, on %s', (flavour) => {
  // Guards the limit in the preamble: it would run on, beside its next try.
  test('is ended by the server within seconds', async () => {
    await using fresh = await freshDatabase(injectServices()[flavour]);
    const mark = `pooled_${fresh.settings.name}`;
    await using database = await openDatabase(fresh.settings);
    await expectEnd(fresh.connection, mark, database.query(`${ENDLESS} ${mark}`, {}, 2_000));
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
      await expectEnd(fresh.connection, mark, query(`${ENDLESS} ${mark}`, {}, 2_000));
    });
  });

  test('is ended on a connection of its own as well', async () => {
    await using fresh = await freshDatabase(injectServices()[flavour]);
    const mark = `single_${fresh.settings.name}`;
    const connection = await connect(fresh.settings, 2_000);
    const query = connection.query({ sql: `${ENDLESS} ${mark}`, timeout: 2_000 });
    const ended = expectEnd(fresh.connection, mark, query);
    await query.catch(() => connection.destroy());
    await ended;
  });
});

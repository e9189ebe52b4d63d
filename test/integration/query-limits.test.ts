import type { Connection } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { connect } from '../../src/database/connect.ts';
import { openDatabase } from '../../src/database/open.ts';
import { until } from '../support/program.ts';
import { freshDatabase, injectServices } from '../support/services.ts';

/** Runs for as long as nobody ends it. */
const ENDLESS = 'SELECT SLEEP(300) AS';

async function running(connection: Connection, mark: string): Promise<number> {
  const [rows] = await connection.query(
    "SELECT COUNT(*) AS queries FROM information_schema.PROCESSLIST WHERE INFO LIKE CONCAT('SELECT SLEEP(300) AS ', ?)",
    [mark],
  );
  return Number((rows as { queries: number }[])[0]?.queries);
}

describe.each(['mysql', 'mariadb'] as const)('a query that is given up, on %s', (flavour) => {
  // Guards queryLimit, and the limit in the preamble: it would run on, beside its next try.
  test('is ended by the server within seconds, at the limit of each query', async () => {
    await using fresh = await freshDatabase(injectServices()[flavour]);
    const mark = `pooled_${fresh.settings.name}`;
    await using database = await openDatabase(fresh.settings);
    await expect(database.query(`${ENDLESS} ${mark}`, {}, 1_500)).rejects.toThrow('in time');
    expect(await running(fresh.connection, mark)).toBe(1);
    await until('it has ended', async () => (await running(fresh.connection, mark)) === 0);
    // The limit is that of the query, not of the one before on its connection.
    await database.session(async ({ query }) => {
      await query('SELECT 1', {}, 500);
      await query('SELECT SLEEP(2)', {}, 60_000);
      await expect(query(`${ENDLESS} ${mark}`, {}, 500)).rejects.toThrow('in time');
    });
    await until('it has ended', async () => (await running(fresh.connection, mark)) === 0);
  });

  test('is ended on a connection of its own as well', async () => {
    await using fresh = await freshDatabase(injectServices()[flavour]);
    const mark = `single_${fresh.settings.name}`;
    const connection = await connect(fresh.settings, 1_000);
    const query = connection.query({ sql: `${ENDLESS} ${mark}`, timeout: 1_000 });
    await expect(query).rejects.toThrow('timeout');
    connection.destroy();
    await until('it has ended', async () => (await running(fresh.connection, mark)) === 0);
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SEED } from '../support/extent.ts';
import { DATABASES, freshDatabase, injectServices } from '../support/services.ts';
import { randomFrom } from '../support/workload.ts';

const SETUP = readFileSync(new URL('../../sql/database_setup.sql', import.meta.url), 'utf8');
const QUERIES = readFileSync(new URL('../../sql/phase2_queries.sql', import.meta.url), 'utf8')
  .split(/(?<=;)\n/)
  .map((query) => query.trim())
  .filter((query) => /^(?:--.*\n|\s)*(?:SELECT|WITH)/.test(query));

type Row = Record<string, unknown>;

describe.each(DATABASES)('the SQL files on %s', (flavour) => {
  const rowsOf = async (
    connection: { query: (sql: string) => Promise<unknown> },
    sql: string,
  ): Promise<Row[]> => {
    const [rows] = (await connection.query(sql)) as [Row[]];
    return rows;
  };

  test('the seed data has three eligible users, by each of the three queries', async () => {
    await using database = await freshDatabase(injectServices()[flavour]);
    const { connection } = database;
    await connection.query(SETUP);
    expect(QUERIES).toHaveLength(3);
    for (const query of QUERIES) {
      const rows = await rowsOf(connection, query);
      expect(rows.map(({ email, page }) => [email, page])).toEqual([
        ['sarah.johnson@email.com', 'settings'],
        ['mike.chen@email.com', 'pricing'],
        ['emma.davis@email.com', 'settings'],
      ]);
    }
  });

  test.each(['00:00:00', '00:00:01', '12:00:00', '23:59:59'])(
    'the three are eligible when the data is loaded at %s, and six days later still',
    async (time) => {
      await using database = await freshDatabase(injectServices()[flavour]);
      const { connection } = database;
      const day = 86_400;
      const [now] = await rowsOf(
        connection,
        `SELECT UNIX_TIMESTAMP(CONCAT('2026-03-10 ', '${time}')) AS s`,
      );
      const loadedAt = Number(now?.['s']);
      await connection.query(`SET timestamp = ${loadedAt}`);
      await connection.query(SETUP);
      for (const later of [0, 1, day - 1, 2 * day, 6 * day - 1]) {
        await connection.query(`SET timestamp = ${loadedAt + later}`);
        for (const query of QUERIES) {
          const rows = await rowsOf(connection, query);
          expect(rows.map(({ id }) => id)).toEqual([1, 2, 3]);
        }
      }
    },
  );

  test(`the three queries agree on random data with equal times (seed ${SEED})`, async () => {
    await using database = await freshDatabase(injectServices()[flavour]);
    const { connection } = database;
    await connection.query(SETUP);
    await connection.query('DELETE FROM page_views');
    const random = randomFrom(SEED);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const pages = ['pricing', 'settings', 'features', 'home', 'blog'];
    const newUsers = Array.from(
      { length: 60 },
      (_, i) => `(${100 + i}, 'u${i}@x.test', '${pick(['free', 'pro', 'pro', 'basic'])}')`,
    );
    await connection.query(
      `INSERT INTO customers (id, email, plan_type) VALUES ${newUsers.join(',')}`,
    );
    // Few different times, so that many views of a user tie; some on both sides of the limit.
    const views = Array.from(
      { length: 1_500 },
      () =>
        `(${100 + Math.floor(random() * 60)}, '${pick(pages)}', CURDATE() - INTERVAL ${pick([0, 1, 6, 7, 8])} DAY - INTERVAL ${pick([0, 1])} SECOND)`,
    );
    await connection.query(
      `INSERT INTO page_views (user_id, page, event_time) VALUES ${views.join(',')}`,
    );
    const [first, second, third] = await Promise.all(QUERIES.map((q) => rowsOf(connection, q)));
    expect(second?.length).toBeGreaterThan(10);
    expect(first).toEqual(second);
    expect(third).toEqual(second);
  });

  test('the index holds all that the window function reads', async () => {
    await using database = await freshDatabase(injectServices()[flavour]);
    await database.connection.query(SETUP);
    const rows = await rowsOf(
      database.connection,
      "SELECT COLUMN_NAME AS name FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = 'page_views_rule' ORDER BY SEQ_IN_INDEX",
    );
    expect(rows.map(({ name }) => name)).toEqual(['user_id', 'page', 'event_time']);
  });
});

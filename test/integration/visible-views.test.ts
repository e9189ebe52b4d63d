import { expect, it } from 'vitest';
import { openDatabase } from '../../src/database/open.ts';
import { Rule } from '../../src/rule/rule.ts';
import { freshDatabase, injectServices } from '../support/services.ts';

const RULE = { planType: 'pro', pages: ['pricing'], lookbackDays: 7 };

// Guards the count in visibleViews: where an id may be there twice, or is asked for twice.
it.each([5, 200])('page views that are not there are told from the %i that are', async (many) => {
  await using fresh = await freshDatabase(injectServices().mysql);
  const { connection, settings } = fresh;
  await connection.query(`
    CREATE TABLE page_views (id BIGINT UNSIGNED NOT NULL, user_id BIGINT NOT NULL,
      PRIMARY KEY (id, user_id));
    INSERT INTO page_views VALUES (18446744073709551615, 1), (1, 2)`);
  const there = Array.from({ length: many }, (_, i) => String(i + 1));
  await connection.query('INSERT INTO page_views VALUES ?', [there.map((id) => [id, 1])]);
  await using database = await openDatabase(settings);
  const rule = new Rule(database.query, RULE, settings);
  const largest = '18446744073709551615';
  const asked = [
    there,
    [...there, largest],
    [...there, ...there],
    [...there, '0'],
    [...there.slice(1), '0', '0'],
  ];
  for (const ids of asked) {
    const views = await rule.visibleViews(ids);
    expect(ids.filter((id) => !views.has(id))).toEqual(ids.filter((id) => id === '0'));
  }
});

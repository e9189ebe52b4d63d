import { expect, test } from 'vitest';
import { heldRows } from '../../src/database/held-rows.ts';
import { openDatabase } from '../../src/database/open.ts';
import { connectTo, freshDatabase, injectServices } from '../support/services.ts';

// Guards indexOfId: without a primary key of that name the question failed, and delivery stood still.
test.each([
  ['PRIMARY KEY (id)'],
  ['PRIMARY KEY (id, user_id)'],
  ['KEY `by ``id` (id)'],
  ['UNIQUE (id), KEY (id, user_id)'],
  ['PRIMARY KEY (user_id, id), KEY (id)'],
  ['KEY (user_id)'],
])('rows that a transaction has changed, inserted or deleted are held, with %s', async (keys) => {
  await using fresh = await freshDatabase(injectServices().mysql);
  const { connection, settings } = fresh;
  await connection.query(`
    CREATE TABLE page_views (id BIGINT NOT NULL, user_id BIGINT NOT NULL, page VARCHAR(20),
      event_time TIMESTAMP NULL, ${keys});
    INSERT INTO page_views VALUES (1, 1, 'home', NOW()), (2, 1, 'home', NOW()), (3, 2, 'home', NOW()),
      (4, 2, 'home', NOW()), (5, 3, 'home', NOW())`);
  await using database = await openDatabase(settings);
  const held = (): Promise<string[]> =>
    database.session(async (session) => [
      ...(await heldRows(session, 'page_views', [1, 2, 3, 4, 5, 6, 7])),
    ]);
  expect(await held()).toEqual([]);
  const writer = await connectTo(settings, settings.name);
  await writer.query(`
    BEGIN;
    UPDATE page_views SET page = 'pricing' WHERE id = 1 LIMIT 1;
    DELETE FROM page_views WHERE id = 3 LIMIT 1;
    INSERT INTO page_views VALUES (6, 9, 'home', NOW())`);
  expect((await held()).sort()).toEqual(expect.arrayContaining(['1', '3', '6']));
  await writer.query('COMMIT');
  expect(await held()).toEqual([]);
  writer.destroy();
});

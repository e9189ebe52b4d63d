import { describe, expect, test } from 'vitest';
import { freshDatabase, injectServices } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

describe.each(['mariadb', 'mariadb11'] as const)('capture on %s', (kind) => {
  // Guards the reading of what NEXTVAL logs: rows of a table that isn't ours, in no transaction.
  test('reads views whose ids come from a sequence, and passes over the sequence itself', async () => {
    await using database = await freshDatabase(injectServices()[kind]);
    const { connection, settings } = database;
    await setUpTables(connection);
    await connection.query(`
      DELETE FROM page_views;
      CREATE SEQUENCE view_ids START WITH 5000 INCREMENT BY 1 CACHE 2;
      ALTER TABLE page_views MODIFY id BIGINT NOT NULL DEFAULT (NEXT VALUE FOR view_ids)`);
    const publisher = new MemoryPublisher();
    await using capture = startCapture(settings, publisher);
    await capture.reads();
    for (let i = 0; i < 5; i += 1) {
      await connection.query("INSERT INTO page_views (user_id, page) VALUES (1, 'pricing')");
    }
    await connection.query(`
      SELECT NEXT VALUE FOR view_ids; DO SETVAL(view_ids, 6000);
      ALTER SEQUENCE view_ids CACHE 100;
      INSERT INTO page_views (user_id, page) VALUES (2, 'home'), (3, 'home');
      CREATE OR REPLACE SEQUENCE view_ids START WITH 7000;
      INSERT INTO page_views (user_id, page) VALUES (4, 'home')`);
    const [rows] = await connection.query('SELECT id FROM page_views ORDER BY id');
    const ids = (rows as { id: number }[]).map(({ id }) => id);
    expect(ids).toHaveLength(8);
    await until(() => publisher.views.length >= 8, 'eight views', capture.done);
    expect(publisher.views.map(({ id }) => id)).toEqual(ids);
    expect(capture.warnings).toEqual([]);
  });
});

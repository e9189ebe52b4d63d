import { describe, expect, test } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import { type FreshDatabase, freshDatabase, injectServices } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const BOTH = ['mysql', 'mariadb'] as const;

const KINDS: readonly [string, readonly (typeof BOTH)[number][], string, string][] = [
  [
    'a view of a table',
    BOTH,
    'RENAME TABLE page_views TO visits; CREATE VIEW page_views AS SELECT * FROM visits',
    'page_views is a view of',
  ],
  [
    'a view of some of a table',
    BOTH,
    "RENAME TABLE page_views TO visits; CREATE VIEW page_views AS SELECT * FROM visits WHERE page <> ''",
    'page_views is a view, and',
  ],
  [
    'a table that keeps nothing',
    ['mysql'],
    'ALTER TABLE page_views DROP FOREIGN KEY page_views_customer; ALTER TABLE page_views ENGINE = BLACKHOLE',
    'page_views has the engine BLACKHOLE',
  ],
  [
    'a merge of others',
    BOTH,
    `CREATE TABLE part LIKE page_views; ALTER TABLE part ENGINE = MyISAM; DROP TABLE page_views;
     CREATE TABLE page_views LIKE part; ALTER TABLE page_views ENGINE = MRG_MyISAM UNION = (part)`,
    'page_views has the engine MRG_M',
  ],
  [
    'a sequence',
    ['mariadb'],
    'DROP TABLE page_views; CREATE SEQUENCE page_views',
    'page_views is no table (sequence)',
  ],
];

describe.each(BOTH)('on %s', (flavour) => {
  async function seeded(): Promise<FreshDatabase> {
    const database = await freshDatabase(injectServices()[flavour]);
    await setUpTables(database.connection);
    return database;
  }

  // Guards checkKinds: the stream would be well, and show nothing of what happens.
  test.concurrent.each(KINDS.filter(([, on]) => on.includes(flavour)))(
    'page_views that is %s is refused by name, at the start and once it becomes that',
    async (_, _on, become, words) => {
      await using database = await seeded();
      const publisher = new MemoryPublisher();
      await using running = startCapture(database.settings, publisher);
      await running.reads();
      await database.connection.query(become);
      await expect(running.done).rejects.toThrow(words);
      await expect(running.done).rejects.toBeInstanceOf(UnavailableError);
      await using anew = startCapture(database.settings, new MemoryPublisher());
      await expect(anew.done).rejects.toThrow(words);
      await expect(anew.done).rejects.toBeInstanceOf(UnavailableError);
    },
  );

  test.concurrent.each([
    ['in partitions', 'PARTITION BY HASH (id) PARTITIONS 3'],
    ['without transactions', 'ENGINE = MyISAM'],
    ...(flavour === 'mariadb' ? [['with versions of its rows', 'ADD SYSTEM VERSIONING']] : []),
  ])('page_views %s is captured', async (_, definition) => {
    await using database = await seeded();
    await database.connection.query(
      `ALTER TABLE page_views DROP FOREIGN KEY page_views_customer; ALTER TABLE page_views ${definition}`,
    );
    const publisher = new MemoryPublisher();
    await using capture = startCapture(database.settings, publisher);
    await capture.reads();
    await database.connection.query(
      "INSERT INTO page_views (id, user_id, page) VALUES (900, 2, 'pricing')",
    );
    await until(() => publisher.views.at(-1)?.['id'] === 900, 'the view', capture.done);
    await database.connection.query("UPDATE page_views SET page = 'home' WHERE id = 900");
    await until(() => publisher.changes.length > 0, 'the change', capture.done);
    const before = publisher.changes.length;
    await database.connection.query('DELETE FROM page_views WHERE id = 900');
    // Where rows have versions, a deletion is an update in the log.
    await until(() => publisher.changes.length > before, 'the deletion', capture.done);
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { freshDatabase, startOwnMariadb, startOwnMysql } from '../support/services.ts';
import type { FreshDatabase } from '../support/services.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const SETUP = readFileSync(new URL('../../sql/database_setup.sql', import.meta.url), 'utf8');

const ids = (publisher: MemoryPublisher): unknown[] => publisher.views.map(({ id }) => id);

/** Two lives of a capture, with a row in each and one between them. */
async function liveTwice(
  database: FreshDatabase,
  before: (id: number) => string = () => 'DO 0',
): Promise<MemoryPublisher> {
  const publisher = new MemoryPublisher();
  const insert = async (id: number): Promise<void> => {
    await database.connection.query(before(id));
    await database.connection.query(
      `INSERT INTO page_views (id, user_id, page, location) VALUES (${id}, 1, 'pricing', '${'Zürich '.repeat(30)}')`,
    );
  };
  for (const life of [100, 110]) {
    await using capture = startCapture(database.settings, publisher);
    await capture.reads();
    await insert(life);
    await until(() => ids(publisher).includes(life), 'the view', capture.done);
    await capture.stop();
    expect(capture.warnings).toEqual([]);
    await insert(life + 1);
  }
  await using last = startCapture(database.settings, publisher);
  await until(() => ids(publisher).includes(111), 'the last view', last.done);
  expect(ids(publisher)).toEqual([100, 101, 110, 111]);
  expect(publisher.views[0]?.['location']).toBe('Zürich '.repeat(30));
  return publisher;
}

describe('capture reads on from', () => {
  test.concurrent('a MariaDB that compresses its binlog events', async () => {
    await using server = await startOwnMariadb([
      '--log-bin-compress=ON',
      '--log-bin-compress-min-len=10',
    ]);
    await using database = await freshDatabase(server);
    await database.connection.query(SETUP);
    const publisher = await liveTwice(database);
    expect(publisher.checkpoint?.['gtidSet']).toMatch(/^0-1-\d+$/);
  });

  test.concurrent('a MariaDB with two replication domains', async () => {
    await using server = await startOwnMariadb();
    await using database = await freshDatabase(server);
    await database.connection.query(SETUP);
    const publisher = await liveTwice(
      database,
      (id) => `SET SESSION gtid_domain_id = ${1 + (id % 2)}`,
    );
    expect(publisher.checkpoint?.['gtidSet']).toMatch(/^0-1-\d+,1-1-\d+,2-1-\d+$/);
  });

  test.concurrent('a MySQL with tagged GTIDs, and without checksums', async () => {
    await using server = await startOwnMysql(['--binlog-checksum=NONE']);
    await using database = await freshDatabase(server);
    await database.connection.query(SETUP);
    const beforeMs = Date.now();
    const publisher = await liveTwice(database, () => "SET SESSION gtid_next = 'AUTOMATIC:web'");
    expect(publisher.messages[0]?.headers['position']).toMatch(/^[0-9a-f-]{36}:web:\d+$/);
    expect(publisher.messages[0]?.timestampMs).toBeGreaterThanOrEqual(beforeMs - 1_000);
  });

  test.concurrent('a database where tables are made and filled by SELECT', async () => {
    await using server = await startOwnMysql();
    await using database = await freshDatabase(server);
    await database.connection.query(SETUP);
    const publisher = new MemoryPublisher();
    await using capture = startCapture(database.settings, publisher);
    await capture.reads();
    await database.connection.query(
      'CREATE TABLE copied (PRIMARY KEY (id)) SELECT * FROM page_views',
    );
    await database.connection.query(
      "INSERT INTO page_views (user_id, page) SELECT user_id, 'blog' FROM copied",
    );
    await until(() => publisher.views.length === 13, 'thirteen views', capture.done);
    expect(capture.warnings).toEqual([]);
  });
});

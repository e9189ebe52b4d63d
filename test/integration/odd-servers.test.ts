import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import { type FreshDatabase, freshDatabase } from '../support/services.ts';
import { DATABASES, startOwn, startOwnMysql } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const insert = (database: FreshDatabase, id: number, browser = ''): Promise<unknown> =>
  database.connection.query(
    `INSERT INTO page_views (id, user_id, page, browser) VALUES (${id}, 1, 'pricing', '${browser}')`,
  );

const ids = (publisher: MemoryPublisher): unknown[] => publisher.views.map(({ id }) => id);

const everyone = async function* (): AsyncGenerator<number[]> {
  yield await Promise.resolve([1, 2, 3]);
};

describe.each(DATABASES)('capture on %s', (flavour) => {
  const logs = async ({ connection }: FreshDatabase): Promise<string[]> => {
    const [rows] = await connection.query('SHOW BINARY LOGS');
    return (rows as { Log_name: string }[]).map((row) => row.Log_name);
  };

  // Guards checkFilters and checkReplicaLogs: changes would be missing without a word.
  test.concurrent.each([
    [['--binlog-do-db=elsewhere'], '', 'binlog_do_db=elsewhere'],
    [['--binlog-ignore-db=shop'], '', 'binlog_ignore_db=shop'],
    [
      ['--skip-log-slave-updates'],
      flavour === 'mysql'
        ? "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1, SOURCE_USER = 'x'"
        : "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'x'; START SLAVE",
      'a replica with log_',
    ],
  ])('refuses a server whose log leaves something out: %s', async (flags, before, sentence) => {
    await using server = await startOwn(flavour, flags);
    await using database = await freshDatabase(server);
    const { connection, settings } = database;
    await connection.query('CREATE DATABASE shop; USE shop');
    await setUpTables(connection);
    if (before !== '') {
      await using free = startCapture({ ...settings, name: 'shop' }, new MemoryPublisher());
      await free.reaches('streaming');
      await connection.query(before);
    }
    await using capture = startCapture({ ...settings, name: 'shop' }, new MemoryPublisher());
    await expect(capture.done).rejects.toBeInstanceOf(UnavailableError);
    await expect(capture.done).rejects.toThrow(sentence);
  });

  // Guards readEarliest: to MariaDB the empty position is the beginning of a log long gone.
  test.concurrent('START_FROM=earliest begins with the oldest binlog that is left', async () => {
    await using server = await startOwn(flavour);
    await using database = await freshDatabase(server);
    await setUpTables(database.connection);
    await insert(database, 100);
    await database.connection.query('FLUSH BINARY LOGS');
    await insert(database, 101);
    // MariaDB keeps a log for a moment that a recovery might need.
    for (let names = await logs(database); names.length > 1; names = await logs(database)) {
      await database.connection.query('PURGE BINARY LOGS TO ?', [names.at(-1)]);
      await sleep(50);
    }
    const publisher = new MemoryPublisher();
    await using capture = startCapture(database.settings, publisher, { startFrom: 'earliest' });
    await until(() => publisher.views.length > 0, 'the view', capture.done);
    expect(ids(publisher)).toEqual([101]);
    expect(capture.warnings).toEqual([]);
  });
});

// Guards `bogus data` in isPositionGone: capture would try the same position for ever.
test('a file that has the name of the saved one, and is another, means starting anew', async () => {
  await using server = await startOwnMysql([], false);
  await using database = await freshDatabase(server);
  await setUpTables(database.connection);
  const publisher = new MemoryPublisher();
  {
    await using first = startCapture(database.settings, publisher);
    await first.reads();
    await insert(database, 100);
    await until(() => ids(publisher).includes(100), 'the view', first.done);
  }
  const { file, position } = publisher.checkpoint as { file: string; position: number };
  await database.connection.query('RESET BINARY LOGS AND GTIDS');
  for (let id = 101; id < 200; id += 1) await insert(database, id, 'x'.repeat(id % 90));
  expect(position).toBeGreaterThan(1_000);
  await using second = startCapture(database.settings, publisher, { eligibleUserIds: everyone });
  await until(() => publisher.changes.length === 3, `everyone after ${file}`, second.done);
  await second.reads();
  expect(second.warnings.join()).toContain('starting anew');
  await insert(database, 300);
  await until(() => ids(publisher).includes(300), 'the view', second.done);
});

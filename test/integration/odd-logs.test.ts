import { rm, open, truncate, stat } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '../support/services.ts';
import { startOwnMariadb, startOwnMysql } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const insert = (database: FreshDatabase, id: number): Promise<unknown> =>
  database.connection.query(
    `INSERT INTO page_views (id, user_id, page) VALUES (${id}, 1, 'pricing')`,
  );

const everyone = async function* (): AsyncGenerator<number[]> {
  yield await Promise.resolve([1, 2, 3]);
};

type Server = Awaited<ReturnType<typeof startOwnMysql>>;

/** The newest log file, as this process sees it: the server may run in a folder of its own. */
async function newestLog(server: Server, { connection }: FreshDatabase): Promise<string> {
  const [variables] = await connection.query('SELECT @@GLOBAL.log_bin_basename AS base');
  const base = (variables as { base: string }[])[0]?.base ?? '';
  const [logs] = await connection.query('SHOW BINARY LOGS');
  const name = (logs as { Log_name: string }[]).at(-1)?.Log_name ?? '';
  return `/proc/${server.pid}/root${base.slice(0, base.lastIndexOf('/'))}/${name}`;
}

/** What happens to the file that holds rows which nobody has captured yet. */
const DAMAGES: readonly [string, (file: string, fromByte: number) => Promise<void>][] = [
  ['removed by hand', (file) => rm(file)],
  ['cut short', (file, fromByte) => truncate(file, fromByte + 40)],
  ['emptied', (file) => truncate(file, 0)],
  [
    'overwritten in the middle',
    async (file, fromByte) => {
      await using handle = await open(file, 'r+');
      await handle.write(Buffer.alloc(150, 0xff), 0, 150, fromByte + 30);
    },
  ],
];

const SERVERS = [
  ['MySQL', () => startOwnMysql()],
  ['MySQL without GTIDs', () => startOwnMysql([], false)],
  ['MariaDB', () => startOwnMariadb()],
] as const;

describe.each(SERVERS)('on %s, a binlog file', (_, startOwn) => {
  // Guards LogFailures and isPositionGone: capture would try the same position for ever.
  test.concurrent.each(DAMAGES)(
    'that was %s means a look at everyone, and then the stream goes on',
    async (_name, damage) => {
      await using server = await startOwn();
      await using database = await freshDatabase(server);
      await setUpTables(database.connection);
      const publisher = new MemoryPublisher();
      {
        await using first = startCapture(database.settings, publisher);
        await first.reads();
        await insert(database, 100);
        await until(() => publisher.views.length === 1, 'the view', first.done);
      }
      const file = await newestLog(server, database);
      const { size } = await stat(file);
      for (let id = 101; id < 110; id += 1) await insert(database, id);
      await database.connection.query('FLUSH BINARY LOGS');
      await insert(database, 200);
      await damage(file, size);
      await using second = startCapture(database.settings, publisher, {
        eligibleUserIds: everyone,
      });
      await until(() => publisher.changes.length >= 3, 'a look at everyone', second.done);
      await second.reads();
      await insert(database, 300);
      await until(() => publisher.views.some(({ id }) => id === 300), 'the view', second.done);
      expect(second.warnings.join()).toContain('starting anew');
    },
    60_000,
  );
});

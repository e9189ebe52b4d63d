import { readFileSync } from 'node:fs';
import { type Connection, createConnection } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import type { DatabaseKind } from '../../tools/services/services.ts';
import { DATABASES, freshDatabase, injectServices } from '../support/services.ts';
import type { FreshDatabase } from '../support/services.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';
import { withSlack } from '../support/slack.ts';

const SETUP = readFileSync(new URL('../../sql/database_setup.sql', import.meta.url), 'utf8');

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function seeded(flavour: DatabaseKind): Promise<FreshDatabase> {
  const database = await freshDatabase(injectServices()[flavour]);
  await database.connection.query(SETUP);
  return database;
}

const eligibleUserIds = async function* (): AsyncGenerator<(number | string)[]> {
  yield await Promise.resolve([1, 2]);
  yield await Promise.resolve(['9007199254740993']);
};

const insert = (database: FreshDatabase, id: number): Promise<unknown> =>
  database.connection.query(
    `INSERT INTO page_views (id, user_id, page) VALUES (${id}, ${1 + (id % 9)}, 'home')`,
  );

const ids = (publisher: MemoryPublisher): unknown[] => publisher.views.map(({ id }) => id);

/** MySQL fails where another session's statement, which it lists too, has letters beyond utf8mb3. */
async function sessions(
  admin: Connection,
  { settings, connection }: FreshDatabase,
  command: string,
): Promise<{ id: number }[]> {
  for (let tries = 1; ; tries += 1) {
    try {
      const [rows] = await admin.query(
        `SELECT ID AS id FROM information_schema.PROCESSLIST WHERE DB = ? AND COMMAND LIKE ? AND ID <> CONNECTION_ID() AND ID <> ?`,
        [settings.name, command, connection.threadId],
      );
      return rows as { id: number }[];
    } catch (error) {
      if (tries === 20) throw error;
      await pause(20);
    }
  }
}

/** The captures' own sessions on this database; killing them is what a network does. */
async function killSessions(database: FreshDatabase, command: string): Promise<number> {
  const { host, port, user, password } = database.settings;
  const admin = await createConnection({ host, port, user, password });
  try {
    const rows = await sessions(admin, database, command);
    for (const { id } of rows) {
      await admin.query(`KILL ${id}`).catch(() => undefined);
    }
    return rows.length;
  } finally {
    await admin.end();
  }
}

describe.each(DATABASES)('capture on %s', (flavour) => {
  test.concurrent(
    'the first start asks for a look at every eligible user, then streams what came meanwhile',
    async () => {
      await using database = await seeded(flavour);
      const publisher = new MemoryPublisher();
      await using capture = startCapture(database.settings, publisher, {
        startFrom: 'backfill',
        eligibleUserIds: async function* () {
          await insert(database, 100);
          yield* eligibleUserIds();
        },
      });
      await until(() => publisher.views.length === 1, 'the view', capture.done);
      expect(publisher.messages.map(({ value }) => value.slice(0, 56))).toEqual([
        '{"user_id":1,"cause":"backfill"}',
        '{"user_id":2,"cause":"backfill"}',
        '{"user_id":"9007199254740993","cause":"backfill"}',
        expect.stringContaining('"id":100') as string,
      ]);
    },
  );

  test.concurrent('a first start that is cut short begins again from everyone', async () => {
    await using database = await seeded(flavour);
    const publisher = new MemoryPublisher();
    const stopping = new AbortController();
    await using first = startCapture(database.settings, publisher, {
      startFrom: 'backfill',
      signal: stopping.signal,
      eligibleUserIds: async function* () {
        yield [1];
        stopping.abort();
        yield await Promise.resolve([2]);
      },
    });
    await first.done;
    expect(publisher.checkpoint).toBeNull();
    publisher.messages.length = 0;
    await using second = startCapture(database.settings, publisher, {
      startFrom: 'backfill',
      eligibleUserIds,
    });
    await second.reaches('streaming');
    expect(publisher.changes).toHaveLength(3);
  });

  test.concurrent(
    'START_FROM=now captures what comes, earliest all that the server still has',
    async () => {
      await using database = await seeded(flavour);
      const [fromNow, fromEarliest] = [new MemoryPublisher(), new MemoryPublisher()];
      {
        await using now = startCapture(database.settings, fromNow, { eligibleUserIds });
        await now.reaches('streaming');
        await insert(database, 100);
        await until(() => fromNow.messages.length > 0, 'the view', now.done);
      }
      expect(ids(fromNow)).toEqual([100]);
      expect(fromNow.changes).toEqual([]);
      await using earliest = startCapture(database.settings, fromEarliest, {
        startFrom: 'earliest',
      });
      await until(() => ids(fromEarliest).includes(100), 'the view', earliest.done, 50_000);
      expect(ids(fromEarliest)).toEqual([...Array.from({ length: 13 }, (_, i) => i + 1), 100]);
    },
  );

  // Guards the publish in findStart.
  test.concurrent(
    'START_FROM=now counts from the first start, also where it stops before a row comes',
    async () => {
      await using database = await seeded(flavour);
      const publisher = new MemoryPublisher();
      {
        await using first = startCapture(database.settings, publisher, { eligibleUserIds });
        await first.reaches('streaming');
      }
      await insert(database, 100);
      await using second = startCapture(database.settings, publisher, { eligibleUserIds });
      await until(() => publisher.views.length > 0, 'the view', second.done);
      expect(ids(publisher)).toEqual([100]);
    },
  );

  test.concurrent(
    'after a stop it goes on where it stopped, without a hole and without a repeat',
    async () => {
      await using database = await seeded(flavour);
      const publisher = new MemoryPublisher();
      const wanted: number[] = [];
      for (let life = 0; life < 4; life += 1) {
        await using capture = startCapture(database.settings, publisher);
        await capture.reaches('streaming');
        if (life === 0) await capture.reads();
        for (let i = 0; i < 5; i += 1) {
          wanted.push(1000 + life * 10 + i);
          await insert(database, 1000 + life * 10 + i);
        }
        await until(() => ids(publisher).includes(wanted.at(-1)), 'the views', capture.done);
        await capture.stop();
        // While nobody listens.
        wanted.push(1009 + life * 10);
        await insert(database, 1009 + life * 10);
      }
      await using last = startCapture(database.settings, publisher);
      await until(() => publisher.views.length >= wanted.length, 'the views', last.done);
      expect(ids(publisher)).toEqual(wanted);
    },
  );

  // By itself: one that is prepared holds back the position of every capture on its server.
  test('an XA transaction prepared before a stop is published when it commits after the start', async () => {
    await using database = await seeded(flavour);
    const publisher = new MemoryPublisher();
    const { connection } = database;
    const name = `stop-${Date.now()}`;
    {
      await using capture = startCapture(database.settings, publisher);
      await capture.reads();
      await connection.query(`XA START '${name}'`);
      await connection.query("INSERT INTO page_views (id, user_id, page) VALUES (500, 1, 'home')");
      await connection.query(`XA END '${name}'`);
      await connection.query(`XA PREPARE '${name}'`);
      const { host, port, user, password, name: database_ } = database.settings;
      const other = await createConnection({ host, port, user, password, database: database_ });
      await other.query("INSERT INTO page_views (id, user_id, page) VALUES (501, 2, 'home')");
      await other.end();
      await until(() => ids(publisher).includes(501), 'the other view', capture.done);
    }
    await using again = startCapture(database.settings, publisher);
    await again.reaches('streaming');
    await connection.query(`XA COMMIT '${name}'`);
    await until(() => ids(publisher).includes(500), 'the prepared view', again.done);
    expect(again.warnings).toEqual([]);
  });
});

// A later version of MariaDB does nothing of this otherwise.
describe.each(['mysql', 'mariadb'] as const)('capture on %s', (flavour) => {
  test.concurrent(
    'no row is lost or put out of order by twenty broken connections under a writer',
    async () => {
      await using database = await seeded(flavour);
      const publisher = new MemoryPublisher();
      await using capture = startCapture(database.settings, publisher);
      await capture.reads();
      const writing = new AbortController();
      let written = 0;
      const writer = (async () => {
        while (!writing.signal.aborted) {
          const values = Array.from({ length: 1 + (written % 7) }, () => {
            written += 1;
            return `(${100_000 + written}, ${1 + (written % 9)}, 'home')`;
          });
          await database.connection.query(
            `INSERT INTO page_views (id, user_id, page) VALUES ${values.join(',')}`,
          );
          await pause(1);
        }
      })();
      let killed = 0;
      for (let round = 0; round < 20; round += 1) {
        await pause(100);
        await capture.reaches('streaming');
        // By turns the dump alone, and everything with the lock.
        killed += await killSessions(database, round % 2 === 0 ? 'Binlog Dump%' : '%');
      }
      await capture.reaches('streaming');
      writing.abort();
      await writer;
      const last = 100_000 + written;
      await until(() => ids(publisher).includes(last), 'the last row', capture.done, 40_000);
      expect(killed).toBeGreaterThanOrEqual(20);
      // Repeats are allowed: the first time of each has to be in order, and whole.
      const seen = [...new Set(ids(publisher))];
      expect(seen).toEqual(Array.from({ length: written }, (_, i) => 100_001 + i));
      const byUser = Map.groupBy(publisher.views, (view) => view['user_id']);
      for (const views of byUser.values()) {
        const [firstTimes] = [[...new Set(views.map(({ id }) => id as number))]];
        expect(firstTimes).toEqual(firstTimes.toSorted((a, b) => a - b));
      }
    },
  );

  test.concurrent(
    'one capture is active; another stands by, and takes over from where the first was',
    async () => {
      await using database = await seeded(flavour);
      const publisher = new MemoryPublisher();
      await using first = startCapture(database.settings, publisher);
      await first.reads();
      await using second = startCapture(database.settings, publisher);
      await second.reaches('waiting for lock');
      await insert(database, 100);
      await until(() => publisher.views.length === 1, 'the view', first.done);
      await pause(300);
      expect(ids(publisher)).toEqual([100]);
      await first.stop();
      await insert(database, 101);
      await until(() => publisher.views.length === 2, 'the view', second.done);
      expect(ids(publisher)).toEqual([100, 101]);
    },
  );

  test.concurrent('a standby stops when it is asked to', async () => {
    await using database = await seeded(flavour);
    const publisher = new MemoryPublisher();
    await using first = startCapture(database.settings, publisher);
    await first.reaches('streaming');
    await using second = startCapture(database.settings, publisher);
    await second.reaches('waiting for lock');
    const startMs = performance.now();
    await second.stop();
    expect(performance.now() - startMs).toBeLessThan(withSlack(3_000));
  });
});

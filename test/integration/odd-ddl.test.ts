import { describe, expect, test } from 'vitest';
import { DATABASES, freshDatabase, injectServices, startOwnMariadb } from '../support/services.ts';
import type { FreshDatabase } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const insert = (id: number, table = 'page_views', text = 'Zoë'): string =>
  `INSERT INTO ${table} (id, user_id, page, device, browser, location, event_time)
   VALUES (${id}, ${id % 9}, 'pricing', 'mobile', '${text}', 'L${id}', '2026-07-01 12:00:00')`;

const viewOf = (id: number, text = 'Zoë'): Record<string, unknown> => ({
  id,
  user_id: id % 9,
  page: 'pricing',
  device: 'mobile',
  browser: text,
  location: `L${id}`,
  event_time: '2026-07-01T12:00:00Z',
});

/** Name, what is done before the capture begins, and what between the rows 100 and 101. */
const CHANGES: readonly [string, readonly string[], readonly string[]][] = [
  ['a column added at the end', [], ['ADD COLUMN note TEXT']],
  ['a column added first', [], ["ADD COLUMN note VARCHAR(9) DEFAULT 'n' FIRST"]],
  ['a column added in the middle', [], ['ADD COLUMN note INT DEFAULT 5 AFTER page']],
  ['a column dropped', ['ADD COLUMN note INT FIRST'], ['DROP COLUMN note']],
  [
    'columns of one type that change places',
    ['MODIFY browser VARCHAR(255)'],
    ['MODIFY browser VARCHAR(255) AFTER location', 'MODIFY user_id BIGINT NOT NULL FIRST'],
  ],
  [
    'columns that change names',
    ['MODIFY browser VARCHAR(255)'],
    ['RENAME COLUMN browser TO location, RENAME COLUMN location TO browser'],
  ],
  ['another column renamed', ['ADD COLUMN note INT'], ['RENAME COLUMN note TO memo']],
  [
    'latin1 converted to utf8mb4',
    ['CONVERT TO CHARACTER SET latin1'],
    ['CONVERT TO CHARACTER SET utf8mb4'],
  ],
  [
    'types that grow',
    ['MODIFY device VARCHAR(9)'],
    ['MODIFY device TEXT, MODIFY page VARCHAR(50)'],
  ],
];

async function alter(database: FreshDatabase, changes: readonly string[]): Promise<void> {
  for (const change of changes) {
    await database.connection.query(`ALTER TABLE page_views ${change}`);
  }
}

/** Rows 100, the change, and row 101, while a capture runs or while none does. */
async function around(
  database: FreshDatabase,
  when: 'runs' | 'is stopped',
  change: () => Promise<unknown>,
) {
  const publisher = new MemoryPublisher();
  const start = () => startCapture(database.settings, publisher, { auditIntervalMs: 100 });
  let capture = start();
  await capture.reads();
  if (when === 'is stopped') await capture.stop();
  await database.connection.query(insert(100));
  await change();
  if (when === 'is stopped') capture = start();
  return { publisher, capture };
}

describe.each(DATABASES)('capture on %s', (flavour) => {
  describe.each(['runs', 'is stopped'] as const)('that %s', (when) => {
    async function seeded(): Promise<FreshDatabase> {
      const database = await freshDatabase(injectServices()[flavour]);
      await setUpTables(database.connection);
      return database;
    }

    // Guards planTable: it finds columns by the names that the table map itself carries.
    test.concurrent.each(CHANGES)(
      'reads every row by the columns of its time: %s',
      async (_, before, changes) => {
        await using database = await seeded();
        await alter(database, before);
        const { publisher, capture } = await around(database, when, async () => {
          await alter(database, changes);
          await database.connection.query(insert(101));
        });
        await using _capture = capture;
        await until(() => publisher.views.length === 2, 'two views', capture.done);
        expect(publisher.views).toEqual([viewOf(100), viewOf(101)]);
      },
    );

    // Guards the `missing` of planTable.
    test.concurrent('refuses, naming it, when a column that is needed is renamed', async () => {
      await using database = await seeded();
      const { publisher, capture } = await around(database, when, async () => {
        await alter(database, ['RENAME COLUMN device TO gadget']);
        await database.connection.query(
          "INSERT INTO page_views (user_id, page) VALUES (1, 'home')",
        );
      });
      await using _capture = capture;
      await expect(capture.done).rejects.toThrow(
        when === 'runs'
          ? 'page_views had no column device; add it'
          : 'page_views.device (role device, EVENT_FIELDS): add',
      );
      expect(publisher.views).toEqual(when === 'runs' ? [viewOf(100)] : []);
    });

    // Guards the audit: rows written under the other name are in no message.
    test.concurrent(
      'goes on with a table that was renamed away and back, emptied, and made anew',
      async () => {
        await using database = await seeded();
        const query = (sql: string) => database.connection.query(sql);
        const { publisher, capture } = await around(database, when, async () => {
          await query('RENAME TABLE page_views TO away');
          await query(insert(110, 'away'));
          await query('RENAME TABLE away TO page_views');
          await query(insert(111));
          await query('TRUNCATE TABLE page_views');
          await query(insert(112));
          await query('DROP TABLE page_views');
          await query(
            'CREATE TABLE page_views (location TEXT, browser TEXT, user_id INT, id INT PRIMARY KEY, event_time DATETIME, page TEXT, device TEXT)',
          );
          await query(insert(113));
        });
        await using _capture = capture;
        await until(() => publisher.views.at(-1)?.['id'] === 113, 'the last view', capture.done);
        expect(publisher.views).toEqual([100, 111, 112, 113].map((id) => viewOf(id)));
      },
    );
  });
});

// Guards Resync and the `everyone` of a checkpoint: no row of the new table is in the log by its name.
test.concurrent.each(DATABASES)(
  'a table that comes under the name of ours is looked at whole, on %s, also after a stop before that',
  async (flavour) => {
    await using database = await freshDatabase(injectServices()[flavour]);
    const { connection, settings } = database;
    await setUpTables(connection);
    const publisher = new MemoryPublisher();
    const eligibleUserIds = async function* () {
      const [rows] = await connection.query("SELECT id FROM customers WHERE last_name = 'New'");
      yield (rows as { id: number }[]).map(({ id }) => id);
    };
    const swap = async (old: string): Promise<void> => {
      await connection.query('CREATE TABLE fresh LIKE customers');
      await connection.query('INSERT INTO fresh SELECT * FROM customers');
      await connection.query("UPDATE fresh SET last_name = 'New' WHERE id IN (2, 3)");
      await connection.query(`RENAME TABLE customers TO ${old}, fresh TO customers`);
    };
    const asked = (): (string | null)[] => publisher.messages.map(({ key }) => key).sort();
    {
      await using first = startCapture(settings, publisher, { eligibleUserIds });
      await first.reads();
      await swap('old_1');
      await until(() => publisher.changes.length === 2, 'everyone', first.done);
      expect(asked()).toEqual(['2', '3']);
      await until(
        () => publisher.checkpoint?.['everyone'] === undefined,
        'the checkpoint',
        first.done,
      );
      publisher.messages.length = 0;
      await swap('old_2');
      await until(
        () => publisher.checkpoint?.['everyone'] !== undefined,
        'the checkpoint',
        first.done,
      );
    }
    expect(publisher.changes).toEqual([]);
    await using second = startCapture(settings, publisher, { eligibleUserIds });
    await until(() => publisher.changes.length === 2, 'everyone', second.done);
    expect(asked()).toEqual(['2', '3']);
    await until(
      () => publisher.checkpoint?.['everyone'] === undefined,
      'the checkpoint',
      second.done,
    );
  },
);

// Guards the comparison of names in Translator.#tableMap: zongji asks information_schema there.
test.concurrent(
  'a MariaDB with temporal columns of the old form never swaps columns',
  { timeout: 60_000 },
  async () => {
    await using server = await startOwnMariadb(['--mysql56-temporal-format=OFF']);
    for (const when of ['runs', 'is stopped'] as const) {
      await using database = await freshDatabase(server);
      await setUpTables(database.connection);
      await alter(database, ['MODIFY browser VARCHAR(255)']);
      const { publisher, capture } = await around(database, when, async () => {
        await alter(database, [
          'RENAME COLUMN browser TO location, RENAME COLUMN location TO browser',
        ]);
        await database.connection.query(insert(101));
      });
      await using _capture = capture;
      const end = await Promise.race([
        capture.done.catch((error: unknown) => String(error)),
        until(() => publisher.views.length === 2, 'two views').then(() => 'read'),
      ]);
      expect(end).toMatch(/read|columns of page_views were changed/);
      const wanted = [viewOf(100), viewOf(101)];
      expect(publisher.views).toEqual(wanted.slice(0, publisher.views.length));
    }
  },
);

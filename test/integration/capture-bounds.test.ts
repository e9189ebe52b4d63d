import { describe, expect, test } from 'vitest';
import { freshDatabase, injectServices } from '../support/services.ts';
import type { FreshDatabase } from '../support/services.ts';
import { setUpTables } from '../support/workload.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const ids = (publisher: MemoryPublisher): unknown[] => publisher.views.map(({ id }) => id);

async function seeded(flavour: 'mysql' | 'mariadb'): Promise<FreshDatabase> {
  const database = await freshDatabase(injectServices()[flavour]);
  await setUpTables(database.connection);
  return database;
}

describe.each(['mysql', 'mariadb'] as const)('capture on %s', (flavour) => {
  test('slow topics hold the binlog back: memory stays bounded, and nothing is lost', async () => {
    await using database = await seeded(flavour);
    const publisher = new MemoryPublisher();
    await using capture = startCapture(database.settings, publisher);
    await capture.reads();
    const gate = Promise.withResolvers<void>();
    publisher.delay = () => gate.promise;
    const rows = 1_000;
    const transactions = 100;
    const location = 'x'.repeat(200);
    for (let i = 0; i < transactions; i += 1) {
      const values = Array.from(
        { length: rows },
        (_, j) => `(${1_000_000 + i * rows + j}, ${1 + (j % 9)}, 'home', '${location}')`,
      );
      await database.connection.query(
        `INSERT INTO page_views (id, user_id, page, location) VALUES ${values.join(',')}`,
      );
    }
    const isFull = (): boolean => capture.status().queueBytes > 8 * 1024 * 1024;
    await until(isFull, 'a full queue', capture.done);
    // Long enough to take in all of it, were there no bound.
    await pause(1_500);
    const { queueBytes } = capture.status();
    expect(queueBytes).toBeGreaterThan(8 * 1024 * 1024);
    expect(queueBytes).toBeLessThan(20 * 1024 * 1024);
    expect(publisher.views).toEqual([]);
    publisher.delay = () => Promise.resolve();
    gate.resolve();
    await until(() => publisher.messages.length >= rows * transactions, 'all rows', capture.done);
    expect(ids(publisher)).toEqual(
      Array.from({ length: rows * transactions }, (_, i) => 1_000_000 + i),
    );
    await until(() => capture.status().queueBytes === 0, 'an empty queue');
  });

  test('rows of a large transaction go out before it is all read; the position moves at its end', async () => {
    await using database = await seeded(flavour);
    const publisher = new MemoryPublisher();
    await using capture = startCapture(database.settings, publisher);
    await capture.reads();
    // Other tests write to the same server: what they commit before and after moves the position too.
    const during: unknown[] = [];
    publisher.delay = async () => {
      await pause(1);
      const { length } = publisher.messages;
      if (length > 0 && length < 100_000) during.push(publisher.checkpoint?.['gtidSet']);
    };
    const { connection } = database;
    await connection.query('START TRANSACTION');
    for (let i = 0; i < 100; i += 1) {
      const values = Array.from({ length: 1_000 }, (_, j) => `(${1 + (j % 9)}, 'home')`);
      await connection.query(`INSERT INTO page_views (user_id, page) VALUES ${values.join(',')}`);
    }
    await connection.query('COMMIT');
    await until(() => publisher.messages.length === 100_000, 'all rows', capture.done);
    expect(during.length).toBeGreaterThan(10);
    expect(new Set(during).size).toBe(1);
    await until(() => publisher.checkpoint?.['gtidSet'] !== during[0], 'the position to move');
  });
});

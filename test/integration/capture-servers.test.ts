import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DATABASES, freshDatabase, startOwn, startOwnMysql } from '../support/services.ts';
import type { FreshDatabase } from '../support/services.ts';
import { MemoryPublisher, NAMES, startCapture, until } from './capture-support.ts';

const SETUP = readFileSync(new URL('../../sql/database_setup.sql', import.meta.url), 'utf8');

const insert = (database: FreshDatabase, id: number): Promise<unknown> =>
  database.connection.query(
    `INSERT INTO page_views (id, user_id, page) VALUES (${id}, 1, 'pricing')`,
  );

const ids = (publisher: MemoryPublisher): unknown[] => publisher.views.map(({ id }) => id);

const everyone = async function* (): AsyncGenerator<number[]> {
  yield await Promise.resolve([1, 2, 3]);
};

describe('capture on a MySQL without GTIDs', () => {
  test.concurrent(
    'goes on by file and position, over rotated files, and marks messages with them',
    async () => {
      await using server = await startOwnMysql([], false);
      await using database = await freshDatabase(server);
      await database.connection.query(SETUP);
      const publisher = new MemoryPublisher();
      for (let life = 0; life < 3; life += 1) {
        await using capture = startCapture(database.settings, publisher, {
          startFrom: 'backfill',
          eligibleUserIds: everyone,
        });
        await capture.reaches('streaming');
        await insert(database, 100 + life * 10);
        await database.connection.query('FLUSH BINARY LOGS');
        await insert(database, 101 + life * 10);
        await until(() => ids(publisher).includes(101 + life * 10), 'the view', capture.done);
        await capture.stop();
        await insert(database, 102 + life * 10);
        await database.connection.query('FLUSH BINARY LOGS');
        expect(capture.warnings).toEqual([]);
      }
      await using last = startCapture(database.settings, publisher);
      await until(() => ids(publisher).includes(122), 'the last view', last.done);
      expect(ids(publisher)).toEqual([100, 101, 102, 110, 111, 112, 120, 121, 122]);
      expect(publisher.changes).toHaveLength(3);
      expect(publisher.messages.at(-1)?.headers['position']).toMatch(/^\S+\.\d{6}:\d+$/);
      expect(publisher.messages.at(-1)?.headers['log_position']).toMatch(
        /^[0-9a-f-]{36}\/\S+:\d+$/,
      );
      // By its row it is seen whether a change is visible yet.
      await database.connection.query('DELETE FROM page_views WHERE id = 122');
      await until(() => publisher.changes.length === 4, 'the deleted view', last.done);
      expect(publisher.of(NAMES.userChanges).at(-1)?.headers['page_view_id']).toBe('122');
      expect(publisher.checkpoint).toMatchObject({
        file: expect.stringMatching(/\.\d{6}$/) as string,
        position: expect.any(Number) as number,
      });
      expect(publisher.checkpoint).not.toHaveProperty('gtidSet');
    },
  );

  test.concurrent('starts anew from everyone when another server answers', async () => {
    const publisher = new MemoryPublisher();
    const name = 'same_name';
    for (const life of [
      { looks: 0, warning: '' },
      { looks: 3, warning: 'starting anew' },
    ]) {
      await using server = await startOwnMysql([], false);
      await using database = await freshDatabase(server);
      await database.connection.query(`CREATE DATABASE ${name}; USE ${name}; ${SETUP}`);
      await using capture = startCapture({ ...database.settings, name }, publisher, {
        eligibleUserIds: everyone,
      });
      await capture.reaches('streaming');
      await capture.reads();
      expect(publisher.changes).toHaveLength(life.looks);
      expect(capture.warnings.join()).toContain(life.warning);
    }
  });
});

describe.each(DATABASES)('capture on %s', (flavour) => {
  test.concurrent('goes on when the server is killed and comes back, without a hole', async () => {
    await using server = await startOwn(flavour);
    const publisher = new MemoryPublisher();
    const first = await freshDatabase(server);
    await first.connection.query(SETUP);
    await using capture = startCapture(first.settings, publisher);
    await capture.reads();
    await insert(first, 100);
    await until(() => publisher.views.length === 1, 'the view', capture.done);
    first.connection.destroy();
    await server.kill();
    await capture.reaches('reconnecting');
    expect(capture.status().reason).not.toBeNull();
    await server.restart();
    await using second = await freshDatabase(server);
    await second.connection.query(`USE ${first.settings.name}`);
    await insert(second, 101);
    await until(() => ids(publisher).includes(101), 'the view', capture.done, 40_000);
    expect([...new Set(ids(publisher))]).toEqual([100, 101]);
    expect(capture.status().state).toBe('streaming');
    expect(publisher.changes).toEqual([]);
  });

  test.concurrent(
    'starts anew from everyone when a server without the captured transactions answers',
    async () => {
      const publisher = new MemoryPublisher();
      const name = 'same_name';
      for (const life of [
        { looks: 0, warning: '' },
        { looks: 3, warning: 'starting anew' },
      ]) {
        await using server = await startOwn(flavour);
        await using database = await freshDatabase(server);
        await database.connection.query(`CREATE DATABASE ${name}; USE ${name}; ${SETUP}`);
        await using capture = startCapture({ ...database.settings, name }, publisher, {
          eligibleUserIds: everyone,
        });
        await capture.reaches('streaming');
        await capture.reads();
        await insert(database, 100);
        await until(() => publisher.views.length > 0, 'the view', capture.done);
        expect(publisher.changes).toHaveLength(life.looks);
        expect(capture.warnings.join()).toContain(life.warning);
      }
    },
  );
});

describe.each(['mysql', 'mariadb'] as const)('capture on %s', (flavour) => {
  test.concurrent('waits for a server that is not up yet', async () => {
    await using server = await startOwn(flavour);
    await using database = await freshDatabase(server);
    await database.connection.query(SETUP);
    await server.kill();
    const publisher = new MemoryPublisher();
    await using capture = startCapture(database.settings, publisher);
    await capture.reaches('reconnecting');
    await until(() => capture.warnings.length > 0, 'a warning', capture.done);
    expect(capture.warnings[0]).toContain('DB_HOST');
    await server.restart();
    await capture.reaches('streaming');
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Check } from '../../src/source/mysql/checks/check.ts';
import { checkSource } from '../../src/source/mysql/checks/checks.ts';
import { connect } from '../../src/database/connect.ts';
import { UnavailableError } from '../../src/errors.ts';
import type { DatabaseSettings } from '../../src/settings/types.ts';
import { DATABASES, freshDatabase, startOwn } from '../support/services.ts';
import type { FreshDatabase } from '../support/services.ts';
import { MemoryPublisher, startCapture, until } from './capture-support.ts';

const SETUP = readFileSync(new URL('../../sql/database_setup.sql', import.meta.url), 'utf8');

async function versionOf({ connection }: FreshDatabase): Promise<string> {
  const [rows] = await connection.query('SELECT VERSION() AS version');
  return String((rows as { version: string }[])[0]?.version);
}

type Server = Awaited<ReturnType<typeof startOwn>>;

describe.each(DATABASES)('capture on %s', (flavour) => {
  let server: Server;
  let database: FreshDatabase;

  beforeAll(async () => {
    server = await startOwn(flavour);
    database = await freshDatabase(server);
    await database.connection.query(SETUP);
    // MariaDB's default is 0, of which the checks warn.
    await database.connection.query('SET GLOBAL sync_binlog = 1');
  });

  afterAll(async () => {
    await database[Symbol.asyncDispose]();
    await server.stop();
  });

  const query = (sql: string): Promise<unknown> => database.connection.query(sql);

  /** How runCapture refuses, in words. */
  async function refusal(db: DatabaseSettings): Promise<string> {
    await using capture = startCapture(db, new MemoryPublisher());
    const limit = new Promise<Error>((resolve) => {
      setTimeout(() => resolve(new Error('it did not refuse')), 10_000).unref();
    });
    const ended = capture.done.then(
      () => new Error('it ended without refusing'),
      (error: unknown) => error,
    );
    const error = await Promise.race([ended, limit]);
    expect(error).toBeInstanceOf(UnavailableError);
    return (error as Error).message;
  }

  const settings = [
    ['binlog_format', 'STATEMENT', 'ROW', 'set binlog_format=ROW'],
    ['binlog_format', 'MIXED', 'ROW', 'set binlog_format=ROW'],
    ['binlog_row_image', 'MINIMAL', 'FULL', 'set binlog_row_image=FULL'],
    ['binlog_row_metadata', 'MINIMAL', 'FULL', 'set binlog_row_metadata=FULL'],
    ['binlog_transaction_compression', 'ON', 'OFF', 'set binlog_transaction_compression=OFF'],
    ['binlog_row_value_options', 'PARTIAL_JSON', '', 'set binlog_row_value_options'],
  ].filter(([name]) => flavour === 'mysql' || !/compression|value_options/.test(name ?? ''));

  test.each(settings)('refuses to start with %s=%s', async (name, wrong, right, sentence) => {
    await query(`SET GLOBAL ${name} = '${wrong}'`);
    try {
      expect(await refusal(database.settings)).toContain(sentence);
    } finally {
      await query(`SET GLOBAL ${name} = '${right}'`);
    }
  });

  const sessions = [
    ['binlog_format', 'STATEMENT', 'ROW', 'set binlog_format=ROW'],
    ['binlog_row_image', 'MINIMAL', 'FULL', 'set binlog_row_image=FULL'],
    ['binlog_transaction_compression', 'ON', 'OFF', 'set binlog_transaction_compression=OFF'],
  ].filter(([name]) => flavour === 'mysql' || !/compression/.test(name ?? ''));

  // Guards queue.save after a gap: without it the same event would be refused at each start.
  test.each(sessions)(
    'ends in mid-stream when a session writes with %s=%s, and starts anew from everyone after',
    async (name, wrong, right, sentence) => {
      const publisher = new MemoryPublisher();
      const first = startCapture(database.settings, publisher);
      await first.reads();
      await query("INSERT INTO page_views (user_id, page) VALUES (1, 'home')");
      await until(() => publisher.views.length === 1, 'the view', first.done);
      // Long enough for its position to be saved: the stream is quiet then.
      await sleep(400);
      await query(`SET SESSION ${name} = '${wrong}'`);
      await query("UPDATE page_views SET page = 'blog' WHERE id = 1");
      await query("UPDATE page_views SET page = 'home' WHERE id = 1");
      await query(`SET SESSION ${name} = '${right}'`);
      await expect(first.done).rejects.toThrow(sentence);
      await expect(first.done).rejects.toBeInstanceOf(UnavailableError);
      await expect(first.done).rejects.toThrow(
        /^capture cannot go on: .*\. When that is done, start it again: it begins with a look at all/,
      );
      expect(publisher.views).toHaveLength(1);
      await using second = startCapture(database.settings, publisher, {
        eligibleUserIds: async function* () {
          yield await Promise.resolve([1, 2, 3]);
        },
      });
      await second.reaches('streaming');
      expect(publisher.changes.filter((value) => value.includes('backfill'))).toHaveLength(3);
      expect(second.warnings.join()).toContain('starting anew');
    },
  );

  test('ends when the log stops naming the columns', async () => {
    const publisher = new MemoryPublisher();
    const capture = startCapture(database.settings, publisher);
    await capture.reads();
    await query('SET GLOBAL binlog_row_metadata = MINIMAL');
    try {
      await query("INSERT INTO page_views (user_id, page) VALUES (1, 'home')");
      await expect(capture.done).rejects.toThrow('set binlog_row_metadata=FULL');
    } finally {
      await query('SET GLOBAL binlog_row_metadata = FULL');
    }
  });

  test('that finds the server set otherwise when it connects again says to start it again', async () => {
    await using capture = startCapture(database.settings, new MemoryPublisher());
    await capture.reads();
    await query("SET GLOBAL binlog_row_image = 'MINIMAL'");
    try {
      const [rows] = await database.connection.query(
        "SELECT id FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'",
      );
      for (const { id } of rows as { id: number }[]) await query(`KILL ${id}`);
      await expect(capture.done).rejects.toThrow(
        'capture cannot go on: binlog_row_image=MINIMAL: set binlog_row_image=FULL on the server. When that is done, start it again: it goes on from where it was',
      );
    } finally {
      await query("SET GLOBAL binlog_row_image = 'FULL'");
    }
  });

  const monitor = flavour === 'mysql' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR';

  async function withUser(
    grants: readonly string[],
    run: (db: DatabaseSettings) => Promise<void>,
  ): Promise<void> {
    await query("CREATE USER 'least'@'%' IDENTIFIED BY 'least-secret'");
    try {
      for (const grant of grants) await query(`GRANT ${grant} TO 'least'@'%'`);
      await run({ ...database.settings, user: 'least', password: 'least-secret' });
    } finally {
      await query("DROP USER 'least'@'%'");
    }
  }

  test('works with exactly the grants that the documentation names', async () => {
    const { name } = database.settings;
    const grants = ['REPLICATION SLAVE ON *.*', `${monitor} ON *.*`, `SELECT ON \`${name}\`.*`];
    await withUser(grants, async (db) => {
      for (const startFrom of ['backfill', 'now'] as const) {
        const publisher = new MemoryPublisher();
        await using capture = startCapture(db, publisher, { startFrom });
        await capture.reaches('streaming');
        await capture.reads();
        await query("INSERT INTO page_views (user_id, page, browser) VALUES (1, 'home', 'least')");
        await until(
          () => publisher.views.some(({ browser }) => browser === 'least'),
          'the view',
          capture.done,
        );
      }
      const publisher = new MemoryPublisher();
      await using stopped = startCapture(db, publisher);
      await until(() => publisher.checkpoint !== null, 'a checkpoint', stopped.done);
      await stopped.stop();
      await using resumed = startCapture(db, publisher);
      await resumed.reaches('streaming');
      expect(resumed.warnings).toEqual([]);
    });
  });

  test.each([
    ['REPLICATION SLAVE', [`${monitor} ON *.*`, 'SELECT ON *.*']],
    [monitor, ['REPLICATION SLAVE ON *.*', 'SELECT ON *.*']],
  ])('names the grant %s when it is missing', async (missing, grants) => {
    await withUser(grants, async (db) => {
      const message = await refusal(db);
      expect(message).toContain(`GRANT ${missing} ON *.*`);
      expect(message).not.toContain('least-secret');
    });
  });

  test('names the tables when they are missing or may not be read', async () => {
    await withUser([`${monitor} ON *.*`, 'REPLICATION SLAVE ON *.*'], async (db) => {
      expect(await refusal({ ...db, name: 'information_schema' })).toContain('no customers');
      expect(await refusal(db)).toContain(db.name);
    });
    await using empty = await freshDatabase(server);
    expect(await refusal(empty.settings)).toContain('setup-db');
    await empty.connection.query(SETUP);
    await empty.connection.query('ALTER TABLE page_views DROP COLUMN device');
    expect(await refusal(empty.settings)).toContain('page_views.device');
  });

  test('says in one sentence, without the password, why it cannot log in', async () => {
    const message = await refusal({ ...database.settings, user: 'nobody', password: 'hunter2' });
    expect(message).toContain('DB_USER');
    expect(message).not.toContain('hunter2');
    expect(await refusal({ ...database.settings, name: 'not_there' })).toContain('not_there');
  });

  test('the checks find everything in order on a server set up as it should be', async () => {
    const connection = await connect(database.settings);
    const checks = await checkSource(connection, database.settings);
    connection.destroy();
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    const names = checks.map(({ name }: Check) => name);
    expect(names).toEqual(
      expect.arrayContaining(['database', 'grants', 'tables', 'columns', 'index', 'binlog format']),
    );
  });

  test('an index that does not serve the rule is found, and does not keep capture from starting', async () => {
    await using other = await freshDatabase(server);
    await other.connection.query(SETUP);
    await other.connection.query(
      'ALTER TABLE page_views ADD KEY other (user_id), DROP KEY page_views_rule',
    );
    const connection = await connect(other.settings);
    const checks = await checkSource(connection, other.settings);
    connection.destroy();
    const bad = checks.filter(({ ok }) => !ok);
    expect(bad).toEqual([expect.objectContaining({ name: 'index', required: false }) as Check]);
    expect(bad[0]?.fix).toContain('CREATE INDEX');
    await using capture = startCapture(other.settings, new MemoryPublisher());
    await capture.reaches('streaming');
  });

  // Guards checkTables: information_schema finds the table in any case, the rule does not.
  test('tables in another case are refused where the server tells them apart', async () => {
    await using other = await freshDatabase(server);
    await other.connection.query(SETUP);
    await other.connection.query('RENAME TABLE page_views TO Page_Views');
    const message = await refusal(other.settings);
    expect(message).toContain(`no page_views in ${other.settings.name}`);
    expect(message).toContain('RENAME TABLE `Page_Views` TO page_views');
  });

  // Guards unreadableColumns, and Translator.#unreadableColumn for what comes while capture runs.
  test('columns that make rows unreadable beside a rare type of ours are refused, at the start and in mid-stream', async () => {
    await using other = await freshDatabase(server);
    await other.connection.query(SETUP);
    await other.connection.query(
      "ALTER TABLE page_views MODIFY device SET('mobile', 'desktop', 'tablet')",
    );
    const [type, words] =
      flavour === 'mysql'
        ? ['VECTOR(3)', 'keep vectors in a table of their own']
        : ['POINT', 'ALTER TABLE page_views MODIFY `odd` <its definition> AFTER `location`'];
    const publisher = new MemoryPublisher();
    await using capture = startCapture(other.settings, publisher);
    await capture.reads();
    const added = other.connection.query(`ALTER TABLE page_views ADD COLUMN odd ${type} FIRST`);
    if (flavour === 'mysql' && parseInt(await versionOf(other), 10) < 9) {
      return await expect(added).rejects.toThrow('syntax');
    }
    await added;
    await other.connection.query("INSERT INTO page_views (user_id, page) VALUES (1, 'pricing')");
    await expect(capture.done).rejects.toThrow(words);
    expect(publisher.views).toEqual([]);
    expect(await refusal(other.settings)).toContain(words);
    await other.connection.query('ALTER TABLE page_views DROP COLUMN odd');
    await using again = startCapture(other.settings, publisher, {
      eligibleUserIds: async function* () {
        yield await Promise.resolve([1]);
      },
    });
    await until(() => publisher.changes.length > 0, 'a look at everyone', again.done);
  });

  test('a purged position means starting anew from everyone, with a warning', async () => {
    await using own = await freshDatabase(server);
    await own.connection.query(SETUP);
    const publisher = new MemoryPublisher();
    {
      await using capture = startCapture(own.settings, publisher);
      await capture.reads();
    }
    const { host, port, user, password, name } = own.settings;
    const admin = await createConnection({ host, port, user, password, database: name });
    await admin.query("INSERT INTO page_views (user_id, page) VALUES (1, 'pricing')");
    for (let i = 0; i < 3; i += 1) {
      await admin.query('FLUSH BINARY LOGS');
      await admin.query("INSERT INTO page_views (user_id, page) VALUES (1, 'pricing')");
    }
    const [logs] = await admin.query('SHOW BINARY LOGS');
    const last = (logs as { Log_name: string }[]).at(-1)?.Log_name ?? '';
    // MariaDB keeps files that a dump thread was reading a moment ago.
    for (let i = 0; i < 20; i += 1) {
      await admin.query(`PURGE BINARY LOGS TO '${last}'`);
      const [left] = await admin.query('SHOW BINARY LOGS');
      if ((left as unknown[]).length === 1) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await admin.end();
    await using again = startCapture(own.settings, publisher, {
      eligibleUserIds: async function* () {
        yield await Promise.resolve([1, 2, 3]);
      },
    });
    await until(() => publisher.changes.length === 3, 'everyone', again.done);
    await again.reaches('streaming');
    expect(again.warnings.join()).toContain('starting anew');
    expect(again.warnings.join()).toMatch(/purged|no longer has/);
  });
});

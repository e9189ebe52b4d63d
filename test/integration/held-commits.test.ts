import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { differences } from '../support/expected.ts';
import { asLeastUser } from '../support/least-user.ts';
import { Program, environment, until } from '../support/program.ts';
import { freshDatabase, startOwnMariadb, startOwnMysql } from '../support/services.ts';
import { Workload } from '../support/workload.ts';

/** Longer than any patience that is not the server's own. */
const HELD_MS = 14_000;

/** Semi-synchronous replication without a replica: a commit waits in the log for its time limit. */
const FLAGS = {
  mysql: [
    '--plugin-load-add=semisync_source.so',
    `--loose-rpl-semi-sync-source-timeout=${HELD_MS}`,
    '--loose-rpl-semi-sync-source-wait-no-replica=1',
  ],
  mariadb: [
    `--rpl-semi-sync-master-timeout=${HELD_MS}`,
    '--rpl-semi-sync-master-wait-no-slave=1',
    '--rpl-semi-sync-master-wait-point=AFTER_SYNC',
  ],
};
const HOLD = {
  mysql: 'SET GLOBAL rpl_semi_sync_source_enabled = 1',
  mariadb: 'SET GLOBAL rpl_semi_sync_master_enabled = 1',
};

/** A change of every kind, each of a user of its own who had another answer before. */
const CHANGES = `
  BEGIN;
  UPDATE customers SET first_name = 'Held' WHERE id = 101;
  INSERT INTO page_views (id, user_id, page) VALUES (2, 102, 'pricing');
  DELETE FROM page_views WHERE id = 5;
  UPDATE page_views SET page = 'home' WHERE id = 7;
  INSERT INTO customers (id, email, plan_type) VALUES (105, 'c105@example.com', 'pro');
  UPDATE page_views SET user_id = 106 WHERE id = 8;
  COMMIT`;

// Guards heldRows, mariadbProof and the bound of settleMs: each of these was a hole after a second,
// or after ten.
test.concurrent.each([
  ['MySQL without GTIDs', 'mysql', false],
  ['MySQL with GTIDs', 'mysql', true],
  ['MariaDB', 'mariadb', true],
] as const)(
  'changes whose commit is held back after it was logged reach Iterable, from %s',
  async (_, flavour, hasGtids) => {
    await using server = await (flavour === 'mysql'
      ? startOwnMysql(FLAGS.mysql, hasGtids)
      : startOwnMariadb(FLAGS.mariadb));
    await using database = await freshDatabase(server);
    const { connection } = database;
    await new Workload(connection, 11, 5).setUp();
    // A customer whose row comes after the view, as where no foreign key is kept.
    await connection.query('ALTER TABLE page_views DROP FOREIGN KEY page_views_customer');
    await connection.query(`
      DELETE FROM page_views;
      INSERT INTO customers (id, email, plan_type) VALUES
        (101, 'c101@example.com', 'pro'), (102, 'c102@example.com', 'pro'),
        (103, 'c103@example.com', 'pro'), (104, 'c104@example.com', 'pro'),
        (106, 'c106@example.com', 'pro');
      INSERT INTO page_views (id, user_id, page, event_time) VALUES
        (1, 101, 'pricing', NOW()), (3, 102, 'pricing', NOW() - INTERVAL 1 HOUR),
        (4, 103, 'pricing', NOW() - INTERVAL 1 HOUR), (5, 103, 'pricing', NOW()),
        (6, 104, 'pricing', NOW() - INTERVAL 1 HOUR), (7, 104, 'pricing', NOW()),
        (8, 101, 'settings', NOW() - INTERVAL 1 HOUR), (9, 105, 'settings', NOW());
      INSERT IGNORE INTO seen_views VALUES (9, 'c105@example.com')`);
    const settings = await asLeastUser(connection, flavour, database.settings);
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    await using program = new Program(['run'], environment(settings, simulator.url));
    await program.ready();
    await until(
      'it has begun',
      async () => (await differences(connection, simulator)).length === 0,
    );
    await connection.query(HOLD[flavour]);
    const beganMs = performance.now();
    let isCommitted = false;
    const committing = connection.query(CHANGES).then(() => (isCommitted = true));
    await sleep(HELD_MS / 2);
    expect(isCommitted).toBe(false);
    await committing;
    expect(performance.now() - beganMs).toBeGreaterThan(HELD_MS * 0.9);
    let problems: string[] = [];
    await until('Iterable holds what the rule says', async () => {
      problems = await differences(connection, simulator);
      return problems.length === 0;
    }).catch(() => undefined);
    expect(problems, program.stderr).toEqual([]);
    expect([...simulator.users.keys()]).toEqual(
      expect.arrayContaining(['c105@example.com', 'c106@example.com']),
    );
  },
  120_000,
);

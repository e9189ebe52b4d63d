import { describe, expect, test } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { differences } from '../support/expected.ts';
import { sessionVariables, setAll } from '../support/hostile-variables.ts';
import { asLeastUser } from '../support/least-user.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { connectTo, startOwnMariadb, startOwnMysql } from '../support/services.ts';
import { Workload } from '../support/workload.ts';

/** What every session of the program begins with, were it not set by the program. */
const INIT = 'SET autocommit = 0, timestamp = 1000000000, sql_select_limit = 1';

describe.each(['mysql', 'mariadb'] as const)('a session of %s', (flavour) => {
  // Guards the preamble of src/database/preamble.ts, on every connection.
  test.concurrent.each(['lowest', 'highest'] as const)(
    'gives the same answers with every variable of the server at its %s',
    async (end) => {
      await using server = await (flavour === 'mysql' ? startOwnMysql() : startOwnMariadb());
      const { host, port, password } = server;
      const db = {
        host,
        port,
        user: 'root',
        password,
        name: 'shop',
        ssl: false,
        timeZone: '+00:00',
        model: DEFAULT_MODEL,
      };
      const connection = await connectTo(db, null);
      await connection.query('CREATE DATABASE shop; USE shop');
      const workload = new Workload(connection, 7, 60);
      await workload.setUp();
      await workload.steps(150);
      await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
      const settings = await asLeastUser(connection, flavour, db);
      const set = await setAll(connection, await sessionVariables(connection, flavour), end);
      expect(set.length).toBeGreaterThan(100);
      expect(set).toEqual(expect.arrayContaining(['autocommit', 'sql_select_limit', 'sql_mode']));
      await connection.query('SET GLOBAL init_connect = ?', [INIT]);

      const backfill = await runToEnd(['backfill'], environment(settings, simulator.url));
      expect(backfill.code, backfill.stderr).toBe(0);
      expect(await differences(connection, simulator)).toEqual([]);

      simulator.reset();
      await using program = new Program(['run'], environment(settings, simulator.url));
      await program.ready();
      await workload.steps(150);
      let problems: string[] = [];
      await until('the stream has caught up', async () => {
        problems = await differences(connection, simulator);
        return problems.length === 0;
      }).catch(() => undefined);
      expect(problems, program.stderr).toEqual([]);
      expect(program.stderr).not.toMatch(/rule cannot be asked|trying again/);
    },
    120_000,
  );
});

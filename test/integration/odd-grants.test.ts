import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { differences } from '../support/expected.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { DATABASES, freshDatabase, injectServices } from '../support/services.ts';
import { Workload } from '../support/workload.ts';

const README = new URL('../../README.md', import.meta.url);

/** The grants of the README, a privilege each, for this database and user. */
async function grantsOf(flavour: string, database: string, user: string): Promise<string[]> {
  const text = await readFile(README, 'utf8');
  return [...text.matchAll(/^GRANT (.+) ON (\S+) TO /gm)].flatMap(([, privileges = '', on = '']) =>
    privileges.split(', ').map((name) => {
      const privilege =
        flavour !== 'mysql' && name === 'REPLICATION CLIENT' ? 'BINLOG MONITOR' : name;
      return `GRANT ${privilege} ON ${on.replace('your_database', database)} TO '${user}'@'%'`;
    }),
  );
}

// Guards the README's grants, and checkGrants: one that is missing is named.
test.each(DATABASES)(
  'the grants of the README are enough on %s for doctor, run and backfill, and each is needed',
  async (flavour) => {
    await using database = await freshDatabase(injectServices()[flavour]);
    const { connection } = database;
    await new Workload(connection, 11, 10).setUp();
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    const user = `least_${randomBytes(4).toString('hex')}`;
    const settings = { ...database.settings, user, password: 'least-secret' };
    const env = () => environment(settings, simulator.url);
    const grants = await grantsOf(flavour, settings.name, user);
    expect(grants).toHaveLength(3);
    await connection.query(`CREATE USER '${user}'@'%' IDENTIFIED BY 'least-secret'`);
    try {
      for (const grant of grants) await connection.query(grant);
      expect(await runToEnd(['doctor'], env())).toMatchObject({ code: 0 });
      expect(await runToEnd(['backfill'], env())).toMatchObject({ code: 0 });
      await using program = new Program(['run'], env());
      await program.ready();
      await connection.query("UPDATE customers SET plan_type = 'pro'");
      await until(
        'Iterable holds what it should',
        async () => (await differences(connection, simulator)).length === 0,
      );
      for (const grant of grants) {
        await connection.query(grant.replace('GRANT', 'REVOKE').replace(' TO ', ' FROM '));
        const { code, stdout } = await runToEnd(['doctor'], env());
        expect(stdout).toContain(
          /SELECT/.test(grant) ? settings.name : /^GRANT (.*) ON/.exec(grant)?.[1],
        );
        expect(stdout).toMatch(/FAIL.*run GRANT/);
        expect(stdout).not.toContain('least-secret');
        expect(code).toBe(3);
        await connection.query(grant);
      }
    } finally {
      await connection.query(`DROP USER '${user}'@'%'`);
    }
  },
);

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { makeCertificates } from '../support/certificates.ts';
import { differences } from '../support/expected.ts';
import { Program, environment, runToEnd, until } from '../support/program.ts';
import { freshDatabase, startOwnMariadb, startOwnMysql } from '../support/services.ts';
import { Workload } from '../support/workload.ts';
import { MemoryPublisher, startCapture } from './capture-support.ts';

describe.each(['mysql', 'mariadb'] as const)('with DB_SSL=true on %s', (flavour) => {
  const file = makeCertificates();
  let server: Awaited<ReturnType<typeof startOwnMysql>>;

  beforeAll(async () => {
    const flags = [
      `--ssl-ca=${file('ca.pem')}`,
      `--ssl-cert=${file('server.pem')}`,
      `--ssl-key=${file('server.key')}`,
    ];
    server = await (flavour === 'mysql' ? startOwnMysql(flags) : startOwnMariadb(flags));
  });

  afterAll(() => server.stop());

  /** A database of which the user `secure` may read all, over TLS alone. */
  async function secured(simulatorUrl: string) {
    const database = await freshDatabase(server);
    const workload = new Workload(database.connection, 5, 10);
    await workload.setUp();
    for (const statement of [
      "CREATE OR REPLACE USER 'secure'@'%' IDENTIFIED BY 'tls-secret' REQUIRE SSL",
      "GRANT ALL ON *.* TO 'secure'@'%'",
    ].flatMap((text) =>
      flavour === 'mysql' && text.startsWith('CREATE')
        ? ["DROP USER IF EXISTS 'secure'@'%'", text.replace(' OR REPLACE', '')]
        : [text],
    )) {
      await database.connection.query(statement);
    }
    const settings = { ...database.settings, user: 'secure', password: 'tls-secret' };
    const env = (ca: string | null, ssl = 'true'): Record<string, string> =>
      environment(settings, simulatorUrl, {
        DB_SSL: ssl,
        ...(ca === null ? {} : { NODE_EXTRA_CA_CERTS: file(ca) }),
      });
    return {
      database,
      workload,
      env,
      [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    };
  }

  // Guards connectionOptions: the server refuses each connection of this user that has no TLS.
  test('the pool, the lock and the binlog are encrypted, and the stream does its work', async () => {
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    await using t = await secured(simulator.url);
    await using program = new Program(['run'], t.env('ca.pem'));
    await program.ready();
    await t.workload.steps(50);
    const { connection } = t.database;
    await until(
      'Iterable holds what it should',
      async () => (await differences(connection, simulator)).length === 0,
    );
    const [dumps] = await connection.query(
      "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'secure' AND COMMAND LIKE 'Binlog Dump%'",
    );
    expect(dumps).toHaveLength(1);
  });

  // Guards isCertificateError in explainDatabaseError.
  test.each([
    ['another authority', 'other.pem'],
    ['no authority', null],
  ])('%s: ends with 3, and says what to do', async (_, ca) => {
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    await using t = await secured(simulator.url);
    for (const command of ['run', 'backfill', 'doctor']) {
      const { code, stdout, stderr } = await runToEnd([command], t.env(ca));
      expect(stdout + stderr).toContain('NODE_EXTRA_CA_CERTS');
      expect(stdout + stderr).not.toContain('tls-secret');
      expect(code).toBe(3);
    }
  });

  // Guards tlsOptions: any certificate of a known authority would do.
  test('a certificate for another name: ends with 3, and says what to do', async () => {
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    await using t = await secured(simulator.url);
    const env = { ...t.env('ca.pem'), DB_HOST: 'localhost' };
    for (const command of ['run', 'setup-db']) {
      const { code, stderr } = await runToEnd([command], env);
      expect(stderr).toContain('DB_HOST to a name that it is for');
      expect(code).toBe(3);
    }
  });

  // Guards isCertificateError in isTransient: no waiting mends a certificate.
  test('capture does not try a certificate again that it cannot accept', async () => {
    await using database = await freshDatabase(server);
    await using capture = startCapture({ ...database.settings, ssl: true }, new MemoryPublisher());
    await expect(capture.done).rejects.toThrow('NODE_EXTRA_CA_CERTS');
  });

  test('DB_SSL=false where the server wants TLS: ends with 3, and says what to do', async () => {
    await using simulator = await startSimulator({ port: 0, apiKeys: ['test-key'] });
    await using t = await secured(simulator.url);
    const { code, stderr } = await runToEnd(['run'], t.env(null, 'false'));
    expect(stderr).toContain('DB_SSL');
    expect(stderr).not.toContain('tls-secret');
    expect(code).toBe(3);
  });
});

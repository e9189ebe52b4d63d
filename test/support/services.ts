import { randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import type { Connection } from 'mysql2/promise';
import { inject } from 'vitest';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import type { DatabaseSettings } from '../../src/settings/types.ts';
import {
  startDatabase,
  startKafka,
  startKafkaCluster,
  startMariadb,
  startMysql,
} from '../../tools/services/services.ts';
import type {
  DatabaseAddress,
  DatabaseKind,
  DatabaseServer,
  KafkaCluster,
  KafkaServer,
} from '../../tools/services/services.ts';
import type { Services } from './global-setup.ts';

/** The servers that all test files share: don't stop them, don't change their global settings. */
export const injectServices = (): Services => inject('services');

/** A database of the test's own; its disposal drops it. */
export interface FreshDatabase extends AsyncDisposable {
  settings: DatabaseSettings;
  /** In UTC, with the database chosen. */
  connection: Connection;
}

/** Those of them that hold databases: what is promised of every server is tested on each. */
export const DATABASES = ['mysql', 'mariadb', 'mariadb11'] as const satisfies DatabaseKind[];

/** An empty database with a name that no other test has. */
export async function freshDatabase(server: DatabaseAddress): Promise<FreshDatabase> {
  const { host, port, user, password } = server;
  const name = `test_${randomBytes(6).toString('hex')}`;
  const settings = {
    host,
    port,
    user,
    password,
    name,
    ssl: false,
    timeZone: '+00:00',
    model: DEFAULT_MODEL,
  };
  const connection = await connectTo(settings, null);
  await connection.query(`CREATE DATABASE ${name}`);
  await connection.query(`USE ${name}`);
  return {
    settings,
    connection,
    [Symbol.asyncDispose]: async () => {
      // On a connection of its own: the test may have ended or broken the other one.
      connection.destroy();
      const last = await createConnection({ host, port, user, password });
      await last.query(`DROP DATABASE IF EXISTS ${name}`);
      await last.end();
    },
  };
}

/** A writer's connection, in UTC; `database` null: none chosen. */
export async function connectTo(
  { host, port, user, password }: DatabaseSettings,
  database: string | null,
): Promise<Connection> {
  const connection = await createConnection({
    host,
    port,
    user,
    password,
    timezone: 'Z',
    supportBigNumbers: true,
    multipleStatements: true,
    ...(database === null ? {} : { database }),
  });
  // A server that goes away is found by the next query.
  connection.on('error', () => undefined);
  await connection.query("SET time_zone = '+00:00'");
  return connection;
}

/** A name for topics and groups that no other test has. */
export const freshTopicPrefix = (): string => `test_${randomBytes(6).toString('hex')}`;

const say = (line: string): void => void process.stderr.write(`services: ${line}\n`);

/** A MySQL of the test's own, to be stopped, killed and set up otherwise. Some 1 s. */
export const startOwnMysql = (
  flags: readonly string[] = [],
  gtid = true,
): Promise<DatabaseServer> => startMysql({ say, flags, gtid });

/** A MariaDB of the test's own. Some 0.5 s. */
export const startOwnMariadb = (flags: readonly string[] = []): Promise<DatabaseServer> =>
  startMariadb({ say, flags });

/** A server of the test's own, of this kind. */
export const startOwn = (
  kind: DatabaseKind,
  flags: readonly string[] = [],
): Promise<DatabaseServer> => startDatabase(kind, { say, flags });

/** A broker of the test's own. Some 3 s. */
export const startOwnKafka = (
  properties: Record<string, string> = {},
  port?: number,
): Promise<KafkaServer> => startKafka({ say, properties, ...(port === undefined ? {} : { port }) });

/** Three brokers of the test's own, every topic on all of them, two in sync at least. Some 10 s. */
export const startOwnKafkaCluster = (
  properties: Record<string, string> = {},
): Promise<KafkaCluster> => startKafkaCluster({ say, brokers: 3, properties });

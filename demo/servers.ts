/** The database and Kafka of the demo: found or started, said before it is done. */
import { Kafka, logLevel } from 'kafkajs';
import { type Connection, createConnection } from 'mysql2/promise';
import { topicNames } from '../src/topics/names.ts';
import { findDatabase, findKafka } from '../tools/services/services.ts';
import type { DatabaseServer, Say } from '../tools/services/services.ts';
import type { Child } from './child.ts';
import { NotSeenError } from './not-seen-error.ts';
import { type Printer, duration } from './print.ts';

export interface Database {
  server: DatabaseServer;
  /** By the environment: it is not ours. */
  given: boolean;
}

/** The server that DB_HOST names, or one that is started. */
export async function openDatabaseServer(
  stack: AsyncDisposableStack,
  printer: Printer,
): Promise<Database> {
  const given = (process.env['DB_HOST'] ?? '') !== '';
  printer.part(
    'database',
    given
      ? 'using the server that DB_HOST names'
      : "finding a server: Docker, else one installed here, else Debian's package",
  );
  const since = performance.now();
  const server = stack.use(await findDatabase({ say: sayIn(printer) }));
  const kind = server.flavour === 'mysql' ? 'MySQL' : 'MariaDB';
  const version = /^[\d.]+/.exec(server.version)?.[0] ?? server.version;
  const took = given ? '' : `, started in ${duration(performance.now() - since)}`;
  printer.part('', `${kind} ${version} at ${server.host}:${server.port}${took}`);
  return { server, given };
}

const sayIn =
  (printer: Printer): Say =>
  (line) =>
    printer.part('', line);

/** The brokers of KAFKA_BROKERS, or one that is started; a comma list. */
export async function openKafka(
  stack: AsyncDisposableStack,
  printer: Printer,
  topic: string,
): Promise<string> {
  const given = (process.env['KAFKA_BROKERS'] ?? '') !== '';
  printer.part(
    'kafka',
    given
      ? 'using the brokers that KAFKA_BROKERS names'
      : 'finding a broker: Docker, else a process of this machine (Java)',
  );
  const since = performance.now();
  const { brokers } = stack.use(await findKafka({ say: sayIn(printer) }));
  const took = given ? '' : `, started in ${duration(performance.now() - since)}`;
  printer.part('', `Kafka at ${brokers.join(', ')}${took}`);
  if (given) stack.defer(() => removeTopics([...brokers], topic));
  return brokers.join(',');
}

/** A broker that was here before us is left as it was; the group is named like the topic. */
async function removeTopics(brokers: string[], topic: string): Promise<void> {
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
  try {
    await admin.connect();
    const there = new Set(await admin.listTopics());
    const topics = Object.values(topicNames(topic)).filter((name) => there.has(name));
    await admin.deleteTopics({ topics });
    await admin.deleteGroups([topic]).catch(() => {});
  } finally {
    await admin.disconnect();
  }
}

/** The demo's own database on that server, with the seed data; and a connection to it. */
export async function loadSeed(
  stack: AsyncDisposableStack,
  printer: Printer,
  start: (name: string, args: readonly string[]) => Child,
  { server, given }: Database,
  name: string,
): Promise<Connection> {
  const { host, port, user, password } = server;
  printer.part('seed data', `iterable-sync setup-db, into the database ${name}`);
  if (given) printer.part('', 'it is dropped at the end; no other database is touched');
  await using child = start('iterable-sync setup-db', ['setup-db']);
  stack.defer(async () => {
    const sql = await createConnection({ host, port, user, password });
    await sql.query('DROP DATABASE IF EXISTS ??', [name]).finally(() => sql.destroy());
  });
  if ((await child.ended) !== 0) {
    throw new NotSeenError(`setup-db failed:\n${child.tail(5)}`);
  }
  const sql = await createConnection({ host, port, user, password, database: name });
  stack.defer(() => sql.destroy());
  await sql.query("SET time_zone = '+00:00'");
  return sql;
}

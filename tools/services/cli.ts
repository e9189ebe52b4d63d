/**
 * node tools/services/cli.ts mysql|mariadb|mariadb11|kafka [--port N] [--dir FOLDER] [server flags …]
 * node tools/services/cli.ts prepare
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { quietKnownWarnings } from '../../src/commands/warnings.ts';
import { prepare, startDatabase, startKafka } from './services.ts';
import type { DatabaseServer, KafkaServer, Say } from './services.ts';

const USAGE =
  'usage: node tools/services/cli.ts mysql|mariadb|mariadb11|kafka [--port N] [--dir FOLDER] [-- FLAGS]\n' +
  '       node tools/services/cli.ts prepare\n';

const say: Say = (line) => void process.stderr.write(`${line}\n`);

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { port: { type: 'string' }, dir: { type: 'string' } },
  });
  const [command, ...flags] = positionals;
  if (command === 'prepare') {
    return await prepareAll();
  }
  const options = {
    say,
    ...(values.port === undefined ? {} : { port: Number(values.port) }),
    ...(values.dir === undefined ? {} : { dir: values.dir }),
  };
  if (command === 'mysql' || command === 'mariadb' || command === 'mariadb11') {
    await using server = await startDatabase(command, { ...options, flags });
    return await serve(databaseExports(server));
  }
  if (command === 'kafka') {
    await using server = await startKafka(options);
    return await serve(kafkaExports(server));
  }
  process.stderr.write(USAGE);
  return 2;
}

/** All of them, also when one fails: what is half done would only be done again. */
async function prepareAll(): Promise<number> {
  const names = ['mysql', 'mariadb', 'mariadb11', 'kafka'] as const;
  const results = await Promise.allSettled(names.map((name) => prepare(name, say)));
  const failed = results.filter((result) => result.status === 'rejected');
  for (const { reason } of failed) say(`error: ${(reason as Error).message}`);
  return failed.length === 0 ? 0 : 3;
}

/** Prints how to reach the server, and waits for Ctrl-C. */
async function serve(lines: string): Promise<number> {
  process.stdout.write(lines);
  say('Ctrl-C stops it.');
  const awake = setInterval(() => {}, 60_000);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  clearInterval(awake);
  return 0;
}

const databaseExports = ({ host, port, user, password }: DatabaseServer): string =>
  `export DB_HOST=${host} DB_PORT=${port} DB_USER=${user} DB_PASSWORD=${password}\n`;

const kafkaExports = ({ brokers }: KafkaServer): string =>
  `export KAFKA_BROKERS=${brokers.join(',')}\n`;

quietKnownWarnings(process);
process.exitCode = await main(process.argv.slice(2));

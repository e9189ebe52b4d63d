import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { servicesDir, withLock } from './cache.ts';
import { run } from './commands.ts';
import { mysqlRoot } from './database-programs.ts';
import { imageIsHere, pullImage } from './docker-engine.ts';
import { KAFKA_VERSION, kafkaJars, prepareKafkaProgram } from './kafka-program.ts';
import type { DatabaseKind, Say } from './types.ts';

export type ImageName = DatabaseKind | 'kafka';

/** What containers are started from where images can be pulled and nothing else is said. */
const PUBLIC_IMAGES: Record<ImageName, string> = {
  mysql: 'mysql:9',
  mariadb: 'mariadb:10.11',
  mariadb11: 'mariadb:11.8',
  kafka: `apache/kafka:${KAFKA_VERSION}`,
};

/** TEST_MYSQL_IMAGE, TEST_MARIADB_IMAGE and the like, where a certain version is wanted: `mysql:8.4`. */
export const namedImage = (name: ImageName, env: NodeJS.ProcessEnv): string | null =>
  env[`TEST_${name.toUpperCase()}_IMAGE`] || null;

/** The one that is named, else the usual one. */
export const publicImage = (name: ImageName): string =>
  namedImage(name, process.env) ?? PUBLIC_IMAGES[name];

const LOCAL_IMAGES: Partial<Record<ImageName, string>> = {
  mysql: 'iterable-sync-local/mysql:9',
  kafka: `iterable-sync-local/kafka:${KAFKA_VERSION}`,
};

/**
 * The name of an image to start containers from: the public one, when it is here or can be pulled,
 * else (unless a certain one was named) one made on this machine from what is prepared for running without Docker, with the same
 * entry point (arguments for MySQL, environment for Kafka). null where neither can be had.
 */
export async function imageFor(name: ImageName, say: Say): Promise<string | null> {
  const open = publicImage(name);
  if (await imageIsHere(open)) return open;
  const local = namedImage(name, process.env) === null ? LOCAL_IMAGES[name] : undefined;
  if (local !== undefined && (await imageIsHere(local))) return local;
  if (await pullImage(open, say)) return open;
  if (local === undefined) return null;
  await withLock(servicesDir(), `image-${name}`, say, async () => {
    if (await imageIsHere(local)) return;
    await (name === 'mysql' ? makeMysqlImage(local, say) : makeKafkaImage(local, say));
  });
  return local;
}

const SCRIPTS = join(import.meta.dirname, 'images');

async function makeMysqlImage(image: string, say: Say): Promise<void> {
  const root = await mysqlRoot(servicesDir(), say);
  say(`making the image ${image} from ${root}`);
  await importImage(
    image,
    ['-C', root, '.', '-C', SCRIPTS, 'mysql-entrypoint.sh'],
    ['ENTRYPOINT ["/mysql-entrypoint.sh"]', 'EXPOSE 3306'],
  );
}

/** The same small Debian, with this machine's Java and the jars: nothing more has to be fetched. */
async function makeKafkaImage(image: string, say: Say): Promise<void> {
  const cache = servicesDir();
  const root = await mysqlRoot(cache, say);
  const { java } = await prepareKafkaProgram(cache, say);
  say(`making the image ${image} from ${root}, Java and Kafka's jars`);
  const program = realpathSync(java).slice(1);
  const home = program.replace(/\/bin\/java$/, '');
  // Debian keeps Java's configuration apart, and links to it.
  const configuration = `etc/${home.split('/').at(-1)?.replace(/-\w+$/, '')}`;
  const javaFiles = [home, ...(existsSync(`/${configuration}`) ? [configuration] : [])];
  const jars = kafkaJars(cache).slice(1);
  const files = ['--exclude=./usr/sbin/mysqld', '--exclude=*/jmods', '--exclude=*/lib/src.zip'];
  files.push('-C', root, '.', '-C', SCRIPTS, 'kafka-entrypoint.sh');
  files.push('-C', import.meta.dirname, 'log4j2.xml', '-C', '/', ...javaFiles, jars);
  await importImage(image, files, [
    'ENTRYPOINT ["/kafka-entrypoint.sh"]',
    `ENV JAVA=/${program} BROKER_LIBRARIES=/${jars}`,
    'EXPOSE 9092',
  ]);
}

/** `docker import` of what `tar --create` makes of these arguments. */
async function importImage(image: string, tar: string[], changes: string[]): Promise<void> {
  const script =
    'set -o pipefail; image=$1; changes=$2; shift 2; ' +
    'mapfile -t lines <<< "$changes"; tar --create "$@" | ' +
    'docker import "${lines[@]/#/--change=}" - "$image"';
  await run('bash', ['-c', script, 'import', image, changes.join('\n'), ...tar]);
}

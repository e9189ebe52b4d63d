/**
 * Real servers for the demo, the tests and the benchmarks: MySQL, MariaDB and Kafka, given by the
 * environment, or started here in containers or as processes, fetched first where need be.
 */
import { UnavailableError } from '../../src/errors.ts';
import { servicesDir } from './cache.ts';
import { startDatabaseContainer, startKafkaContainer } from './containers.ts';
import { dataTemplate } from './database-template.ts';
import { findDatabaseProgram, prepareDatabaseProgram } from './database-programs.ts';
import { askVersion } from './database-version.ts';
import { canInstallPackages } from './debian.ts';
import { dockerAnswers, imageIsHere, pullImage } from './docker-engine.ts';
import { brokersByVariable, databaseByUrl, databaseByVariables } from './given.ts';
import { namedImage, publicImage } from './images.ts';
import type { ImageName } from './images.ts';
import { kafkaIsPrepared, prepareKafkaProgram } from './kafka-program.ts';
import { startNativeDatabase } from './native-database.ts';
import { brokerAnswers, startNativeKafka } from './native-kafka.ts';
import { chooseWay, forcedWay } from './ways.ts';
import type {
  DatabaseKind,
  DatabaseServer,
  DatabaseStartOptions,
  Flavour,
  KafkaServer,
  KafkaStartOptions,
  Say,
  StartOptions,
  Way,
} from './types.ts';

export type { DatabaseAddress, DatabaseKind, DatabaseServer, KafkaServer, Say } from './types.ts';
export type { Flavour, KafkaCluster } from './types.ts';
export { startKafkaCluster } from './kafka-cluster.ts';
export { composeCommand } from './compose.ts';
export { dockerEngine } from './docker-engine.ts';

export const startMysql = (options: DatabaseStartOptions): Promise<DatabaseServer> =>
  startDatabase('mysql', options);

export const startMariadb = (options: DatabaseStartOptions): Promise<DatabaseServer> =>
  startDatabase('mariadb', options);

/** Starts a server with a binlog as capture wants it; `root` may do everything. */
export async function startDatabase(
  kind: DatabaseKind,
  options: DatabaseStartOptions,
): Promise<DatabaseServer> {
  const way = await wayFor(kind, options);
  if (way === 'docker') return await startDatabaseContainer(kind, options);
  return await startNativeDatabase(kind, options);
}

/** Starts one broker that makes no topic by itself. */
export async function startKafka(options: KafkaStartOptions): Promise<KafkaServer> {
  const way = await wayFor('kafka', options);
  return way === 'docker' ? await startKafkaContainer(options) : await startNativeKafka(options);
}

/** Fetches what `start…` needs, so that it starts within seconds; starts nothing. */
export async function prepare(name: ImageName, say: Say): Promise<void> {
  if ((await wayFor(name, { say })) === 'docker') return;
  const cache = servicesDir();
  if (name === 'kafka') return void (await prepareKafkaProgram(cache, say));
  await dataTemplate(cache, await prepareDatabaseProgram(cache, name, say), say);
}

/**
 * The database that DB_HOST names, or else one that is started, of the flavour that costs least.
 * @throws UnavailableError when the one named can't be reached.
 */
export async function findDatabase(options: DatabaseStartOptions): Promise<DatabaseServer> {
  const given = await givenDatabase('DB_HOST', databaseByVariables(process.env));
  if (given !== null) return given;
  const cache = servicesDir();
  const here = async (flavour: Flavour) =>
    (await findDatabaseProgram(cache, flavour)) !== null ||
    ((await dockerAnswers()) && (await imageIsHere(publicImage(flavour))));
  const flavour = !(await here('mysql')) && (await here('mariadb')) ? 'mariadb' : 'mysql';
  return await startDatabase(flavour, options);
}

/** The brokers that KAFKA_BROKERS names, or else one that is started. */
export async function findKafka(options: KafkaStartOptions): Promise<KafkaServer> {
  const brokers = brokersByVariable(process.env);
  if (brokers === null) return await startKafka({ ...options, lasts: true });
  if (await brokerAnswers(brokers[0]!)) return { brokers, dir: null, pid: null, ...notOurs };
  throw new UnavailableError(`KAFKA_BROKERS: ${brokers.join(', ')} does not answer: start it.`);
}

/** The server for tests: TEST_MYSQL_URL and the like, or else one that is started. */
export async function findTestDatabase(
  kind: DatabaseKind,
  options: DatabaseStartOptions,
): Promise<DatabaseServer> {
  const variable = `TEST_${kind.toUpperCase()}_URL`;
  const given = await givenDatabase(variable, databaseByUrl(process.env, variable));
  return given ?? (await startDatabase(kind, options));
}

async function givenDatabase(
  variable: string,
  login: ReturnType<typeof databaseByUrl>,
): Promise<DatabaseServer | null> {
  if (login === null) return null;
  const version = await askVersion(login);
  if (version === null) {
    const where = `${login.host}:${login.port}`;
    throw new UnavailableError(`${variable}: ${where} takes no connection of user ${login.user}.`);
  }
  const flavour = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
  return { ...login, flavour, version, dir: null, pid: null, ...notOurs };
}

const refuse = async (): Promise<never> => {
  throw new UnavailableError('This server was given by the environment: it is not ours to stop.');
};

const notOurs = {
  stop: async () => {},
  kill: refuse,
  restart: refuse,
  [Symbol.asyncDispose]: async () => {},
};

async function wayFor(name: ImageName, options: StartOptions): Promise<Way> {
  const wanted = options.way ?? forcedWay(process.env);
  // A folder of one's own is for a process: a container keeps its data inside.
  if (wanted !== null || options.dir !== undefined) return wanted ?? 'native';
  if (namedImage(name, process.env) !== null) return 'docker';
  const cache = servicesDir();
  const image = publicImage(name);
  return await chooseWay(name, {
    dockerAnswers,
    imageIsHere: () => imageIsHere(image),
    pullImage: () => pullImage(image, options.say),
    nativeIsReady: async () =>
      name === 'kafka'
        ? await kafkaIsPrepared(cache)
        : (await findDatabaseProgram(cache, name)) !== null,
    nativeCanBePrepared: () => canInstallPackages() || name === 'kafka',
  });
}

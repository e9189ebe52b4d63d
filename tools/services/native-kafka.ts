import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { exists, servicesDir } from './cache.ts';
import { run } from './commands.ts';
import { freePorts, serverFolder } from './folders.ts';
import { type KafkaProgram, prepareKafkaProgram } from './kafka-program.ts';
import { kafkaProperties } from './kafka-properties.ts';
import { ServerProcess } from './server-process.ts';
import type { KafkaServer, KafkaStartOptions } from './types.ts';

const HEAP = '-Xmx512m';
/** One collector thread, the quick compiler alone: a start takes half the work. */
export const QUICK_START = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** Starts one Kafka broker as a process of this machine (some 3 s). */
export async function startNativeKafka(options: KafkaStartOptions): Promise<KafkaServer> {
  const { java, classPath } = await prepareKafkaProgram(servicesDir(), options.say);
  const folder = await serverFolder(options.dir);
  const [port, controllerPort] = await ports(options.port);
  const dataDir = join(folder.path, 'data');
  const propertiesFile = join(folder.path, 'server.properties');
  await writeFile(
    propertiesFile,
    kafkaProperties({ port, controllerPort, dataDir }, options.properties ?? {}),
  );
  if (!(await exists(dataDir))) await formatStorage({ java, classPath }, propertiesFile);
  const broker = `127.0.0.1:${port}`;
  const server = new ServerProcess({
    name: 'Kafka',
    command: java,
    args: [
      HEAP,
      ...(options.lasts === true ? [] : QUICK_START),
      ...brokerArguments(classPath, propertiesFile),
    ],
    cwd: folder.path,
    logFile: join(folder.path, 'kafka.log'),
    answers: () => brokerAnswers(broker),
    ...(options.dir === undefined ? { deathSignal: 'KILL' } : {}),
  });
  try {
    await server.start();
  } catch (error) {
    await folder.discard();
    throw error;
  }
  const stop = async () => {
    await server.stop();
    await folder.discard();
  };
  // Data that are thrown away need not be put in order first.
  const drop = async () => {
    await server.end();
    await folder.discard();
  };
  return {
    brokers: [broker],
    dir: folder.path,
    get pid() {
      return server.pid;
    },
    stop,
    kill: () => server.kill(),
    restart: () => server.restart(),
    [Symbol.asyncDispose]: options.dir === undefined ? drop : stop,
  };
}

/** Makes the folder of `log.dirs` one of a new cluster. */
export async function formatStorage(
  { java, classPath }: KafkaProgram,
  propertiesFile: string,
): Promise<void> {
  // The cluster id: 16 bytes in URL-safe base 64; one that starts with a dash reads as an option.
  const id = `k${randomBytes(16).toString('base64url').slice(1)}`;
  const format = ['kafka.tools.StorageTool', 'format', '-t', id, '-c', propertiesFile];
  await run(java, ['-XX:TieredStopAtLevel=1', '-cp', classPath, ...format]);
}

export function brokerArguments(classPath: string, propertiesFile: string): string[] {
  const log4j = `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'log4j2.xml')}`;
  return [log4j, '-cp', classPath, 'kafka.Kafka', propertiesFile];
}

async function ports(wanted: number | undefined): Promise<[number, number]> {
  const [first, second] = await freePorts(2);
  return [wanted ?? first!, second!];
}

/** Whether a broker serves: it names brokers of its cluster, with the one of this id among them. */
export async function brokerAnswers(broker: string, nodeId?: number): Promise<boolean> {
  const retry = { retries: 0 };
  const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING, retry });
  const admin = kafka.admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    return brokers.some((one) => nodeId === undefined || one.nodeId === nodeId);
  } catch {
    return false;
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

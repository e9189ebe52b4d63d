import { setTimeout as sleep } from 'node:timers/promises';
import type { StartedTestContainer } from 'testcontainers';
import { UnavailableError } from '../../src/errors.ts';
import { run } from './commands.ts';
import { ROOT_PASSWORD, binlogFlags } from './database-flags.ts';
import { askVersion } from './database-version.ts';
import { freePorts } from './folders.ts';
import { imageFor, publicImage } from './images.ts';
import type { ImageName } from './images.ts';
import { kafkaContainerEnvironment } from './kafka-properties.ts';
import { brokerAnswers } from './native-kafka.ts';
import { flavourOf } from './types.ts';
import type {
  DatabaseKind,
  DatabaseServer,
  DatabaseStartOptions,
  KafkaServer,
  KafkaStartOptions,
  Say,
  ServerControl,
} from './types.ts';

const START_MS_MAX = 120_000;
const POLL_MS = 100;

/** Starts a database server in a container, published on 127.0.0.1. */
export async function startDatabaseContainer(
  kind: DatabaseKind,
  options: DatabaseStartOptions,
): Promise<DatabaseServer> {
  const flavour = flavourOf(kind);
  const port = options.port ?? (await freePorts(1))[0]!;
  const login = { host: '127.0.0.1', port, user: 'root', password: ROOT_PASSWORD };
  const control = await startContainer({
    name: kind,
    say: options.say,
    ports: { container: 3306, host: port },
    environment: { MYSQL_ROOT_PASSWORD: ROOT_PASSWORD, MARIADB_ROOT_PASSWORD: ROOT_PASSWORD },
    args: [...binlogFlags(flavour, options.gtid ?? true), ...(options.flags ?? [])],
    answers: async () => (await askVersion(login)) !== null,
  });
  const version = (await askVersion(login)) ?? 'unknown';
  return { ...login, flavour, version, dir: null, pid: null, ...control };
}

/** Starts one Kafka broker in a container, published on 127.0.0.1. */
export async function startKafkaContainer(options: KafkaStartOptions): Promise<KafkaServer> {
  const port = options.port ?? (await freePorts(1))[0]!;
  const broker = `127.0.0.1:${port}`;
  const control = await startContainer({
    name: 'kafka',
    say: options.say,
    ports: { container: 9092, host: port },
    environment: kafkaContainerEnvironment(port, options.properties ?? {}),
    args: [],
    answers: () => brokerAnswers(broker),
  });
  return { brokers: [broker], dir: null, pid: null, ...control };
}

interface ContainerPlan {
  name: ImageName;
  say: Say;
  ports: { container: number; host: number };
  environment: Record<string, string>;
  args: string[];
  answers: () => Promise<boolean>;
}

async function startContainer(plan: ContainerPlan): Promise<ServerControl> {
  const image = await imageFor(plan.name, plan.say);
  if (image === null) throw new UnavailableError(`no image of ${plan.name} can be had: pull one.`);
  // Where our image is a local one, the helper that removes forgotten containers can't be pulled.
  if (image !== publicImage(plan.name)) process.env['TESTCONTAINERS_RYUK_DISABLED'] ??= 'true';
  plan.say(`starting a container of ${image}`);
  // Loaded late: it is large, and a development dependency.
  const { GenericContainer } = await import('testcontainers');
  const container = await new GenericContainer(image)
    .withExposedPorts(plan.ports)
    .withEnvironment(plan.environment)
    .withCommand(plan.args)
    .withStartupTimeout(START_MS_MAX)
    .start();
  const control = containerControl(container, plan);
  try {
    await untilAnswers(plan);
  } catch (error) {
    await control.stop();
    throw error;
  }
  return control;
}

function containerControl(container: StartedTestContainer, plan: ContainerPlan): ServerControl {
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await container.stop();
  };
  return {
    stop,
    kill: async () => void (await run('docker', ['kill', container.getId()])),
    restart: async () => {
      await container.restart();
      await untilAnswers(plan);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function untilAnswers({ name, answers }: ContainerPlan): Promise<void> {
  const until = Date.now() + START_MS_MAX;
  while (!(await answers())) {
    if (Date.now() > until) {
      throw new UnavailableError(`${name} did not answer in its container: see \`docker logs\`.`);
    }
    await sleep(POLL_MS);
  }
}

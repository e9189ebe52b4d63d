import { randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { servicesDir } from './cache.ts';
import { freePorts, serverFolder } from './folders.ts';
import { type KafkaProgram, prepareKafkaProgram } from './kafka-program.ts';
import { clusterProperties, kafkaProperties } from './kafka-properties.ts';
import { QUICK_START, brokerAnswers, brokerArguments, formatStorage } from './native-kafka.ts';
import { ServerProcess } from './server-process.ts';
import type { KafkaBroker, KafkaCluster, KafkaClusterOptions } from './types.ts';

/** Several share a small machine. */
const JVM = ['-Xmx384m', ...QUICK_START];

interface Place {
  nodeId: number;
  port: number;
  controllerPort: number;
  dir: string;
  dataDir: string;
  propertiesFile: string;
}

/**
 * Starts a cluster of brokers that are the controllers as well, always as processes of this machine
 * (some 10 s for three). Topics are replicated three times unless `properties` say otherwise.
 */
export async function startKafkaCluster(options: KafkaClusterOptions): Promise<KafkaCluster> {
  const program = await prepareKafkaProgram(servicesDir(), options.say);
  const folder = await serverFolder(undefined);
  const places = await choosePlaces(folder.path, options.brokers);
  const nodes = places.map((place) => new ClusterNode(program, place));
  const end = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.end()));
    await folder.discard();
  };
  try {
    await writeProperties(places, options.properties ?? {});
    await formatAll(program, places);
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    await end();
    throw error;
  }
  const brokers = nodes.map(({ address }) => address);
  return { brokers, nodes, [Symbol.asyncDispose]: end };
}

class ClusterNode implements KafkaBroker {
  readonly #server: ServerProcess;
  readonly nodeId: number;
  readonly address: string;
  readonly dir: string;

  constructor({ java, classPath }: KafkaProgram, { nodeId, port, dir, propertiesFile }: Place) {
    this.nodeId = nodeId;
    this.address = `127.0.0.1:${port}`;
    this.dir = dir;
    this.#server = new ServerProcess({
      name: `Kafka broker ${nodeId}`,
      command: java,
      args: [...JVM, ...brokerArguments(classPath, propertiesFile)],
      cwd: dir,
      logFile: join(dir, 'kafka.log'),
      answers: () => brokerAnswers(this.address, nodeId),
      deathSignal: 'KILL',
    });
  }

  get pid(): number | null {
    return this.#server.pid;
  }

  async start(): Promise<void> {
    if (this.pid === null) await this.#server.start();
  }

  async stop(): Promise<void> {
    this.thaw();
    await this.#server.stop();
  }

  kill(): Promise<void> {
    return this.#server.kill();
  }

  end(): Promise<void> {
    return this.#server.end();
  }

  freeze(): void {
    this.#signal('SIGSTOP');
  }

  thaw(): void {
    this.#signal('SIGCONT');
  }

  #signal(name: NodeJS.Signals): void {
    if (this.pid !== null) process.kill(this.pid, name);
  }
}

async function choosePlaces(folder: string, brokers: number): Promise<Place[]> {
  const ports = await freePorts(2 * brokers);
  return Array.from({ length: brokers }, (_, index) => {
    const dir = join(folder, `broker-${index + 1}`);
    return {
      nodeId: index + 1,
      port: ports[2 * index]!,
      controllerPort: ports[2 * index + 1]!,
      dir,
      dataDir: join(dir, 'data'),
      propertiesFile: join(dir, 'server.properties'),
    };
  });
}

async function writeProperties(
  places: readonly Place[],
  more: Readonly<Record<string, string>>,
): Promise<void> {
  const voters = places
    .map(({ nodeId, controllerPort }) => `${nodeId}@127.0.0.1:${controllerPort}`)
    .join(',');
  for (const place of places) {
    const ours = clusterProperties(place.nodeId, voters);
    await mkdir(place.dir, { recursive: true });
    await writeFile(place.propertiesFile, kafkaProperties(place, { ...ours, ...more }));
  }
}

/** Formats one folder and copies it, with ids of their own: a Java program less for each broker. */
async function formatAll(program: KafkaProgram, places: readonly Place[]): Promise<void> {
  const [first, ...others] = places;
  if (first === undefined) return;
  await formatStorage(program, first.propertiesFile);
  for (const { nodeId, dataDir } of others) {
    await cp(first.dataDir, dataDir, { recursive: true });
    const file = join(dataDir, 'meta.properties');
    const directoryId = `k${randomBytes(16).toString('base64url').slice(1)}`;
    const meta = (await readFile(file, 'utf8'))
      .replace(/^node\.id=.*$/m, `node.id=${nodeId}`)
      .replace(/^directory\.id=.*$/m, `directory.id=${directoryId}`);
    await writeFile(file, meta);
  }
}

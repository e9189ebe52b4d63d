import type { TestProject } from 'vitest/node';
import { quietKnownWarnings } from '../../src/commands/warnings.ts';
import { findKafka, findTestDatabase } from '../../tools/services/services.ts';
import type {
  DatabaseAddress,
  DatabaseServer,
  KafkaServer,
} from '../../tools/services/services.ts';

/** The servers that all test files share. Tests that break or stop a server start their own. */
export interface Services {
  mysql: DatabaseAddress;
  mariadb: DatabaseAddress;
  mariadb11: DatabaseAddress;
  kafkaBrokers: readonly string[];
}

declare module 'vitest' {
  interface ProvidedContext {
    services: Services;
  }
}

interface Running {
  services: Services;
  stop: () => Promise<void>;
}

/** Vitest loads this file once a project, so what the projects of one run share hangs on the process. */
interface Shared {
  running: Promise<Running>;
  users: number;
}
const KEY = Symbol.for('iterable-sync.test-services');
const thisProcess = process as typeof process & { [KEY]?: Shared | undefined };

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = (thisProcess[KEY] ??= { running: start(), users: 0 });
  shared.users += 1;
  const { services, stop } = await shared.running;
  project.provide('services', services);
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    thisProcess[KEY] = undefined;
    await stop();
  };
}

async function start(): Promise<Running> {
  quietKnownWarnings(process);
  const say = (line: string) => void process.stderr.write(`services: ${line}\n`);
  const began = Date.now();
  const started = await Promise.allSettled([
    findTestDatabase('mysql', { say }),
    findTestDatabase('mariadb', { say }),
    findTestDatabase('mariadb11', { say }),
    findKafka({ say }),
  ]);
  const [mysql, mariadb, mariadb11, kafka] = started;
  const stop = async () => {
    const servers = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  };
  const failures = started.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  if (failures.length > 0) {
    await stop();
    throw new AggregateError(failures, failures.map(String).join('\n'));
  }
  const services = {
    mysql: address(valueOf<DatabaseServer>(mysql)),
    mariadb: address(valueOf<DatabaseServer>(mariadb)),
    mariadb11: address(valueOf<DatabaseServer>(mariadb11)),
    kafkaBrokers: valueOf<KafkaServer>(kafka).brokers,
  };
  say(
    `MySQL ${services.mysql.version}, MariaDB ${services.mariadb.version} and ` +
      `${services.mariadb11.version}, Kafka at ` +
      `${services.kafkaBrokers.join(',')} after ${((Date.now() - began) / 1000).toFixed(1)} s`,
  );
  return { services, stop };
}

function valueOf<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

/** The data alone: what is provided to the test processes must survive being copied. */
const address = ({ host, port, user, password, flavour, version }: DatabaseServer) => ({
  host,
  port,
  user,
  password,
  flavour,
  version,
});

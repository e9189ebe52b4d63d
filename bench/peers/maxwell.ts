import { readdirSync } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UnavailableError } from '../../src/errors.ts';
import { type Peer, propertiesText } from './peer.ts';

/**
 * The newest that Maven Central has (1.22.6, of 2019) asks for SHOW MASTER STATUS, which MySQL has no
 * more since 8.4: so there is no other way to have it than an installation.
 */
const HOW = 'set MAXWELL_HOME to an installation of Maxwell';

/** Names of the jars in a folder of the installation, or none. */
function jars(home: string | undefined, folder: string): string[] {
  if (home === undefined || home === '') return [];
  try {
    return readdirSync(join(home, folder)).filter((name) => name.endsWith('.jar'));
  } catch {
    return [];
  }
}

/** By the name of its own jar, where it has one. */
function versionOf(home: string | undefined): string {
  const version = jars(home, 'lib')
    .map((name) => /^maxwell-(\d.*)\.jar$/.exec(name)?.[1])
    .find((one) => one !== undefined);
  return version === undefined ? '' : ` ${version}`;
}

/** Its script asks for a version of Kafka's client that an installation with one alone may lack. */
function clientFlags(home: string): string[] {
  const [client, ...others] = jars(home, 'lib/kafka-clients');
  const version = /^kafka-clients-(.*)\.jar$/.exec(client ?? '')?.[1];
  return version === undefined || others.length > 0 ? [] : [`--kafka_version=${version}`];
}

export const maxwell: Peer = {
  id: 'maxwell',
  title: `Maxwell${versionOf(process.env['MAXWELL_HOME'])}`,
  prepare: async ({ database, brokers, schema, topic, name, serverId, folder }) => {
    const home = process.env['MAXWELL_HOME'];
    if (home === undefined || home === '') throw new UnavailableError(HOW);
    const program = join(home, 'bin/maxwell');
    await access(program).catch(() => {
      throw new UnavailableError(`${HOW}: there is no bin/maxwell in the one that is named`);
    });
    const options = {
      host: database.host,
      port: String(database.port),
      user: database.user,
      password: database.password,
      jdbc_options: 'useSSL=false&allowPublicKeyRetrieval=true',
      schema_database: `maxwell_${name}`,
      client_id: name,
      replica_server_id: String(serverId),
      filter: `exclude: *.*, include: ${schema}.page_views`,
      producer: 'kafka',
      'kafka.bootstrap.servers': brokers.join(','),
      'kafka.acks': 'all',
      kafka_topic: topic,
      producer_partition_by: 'column',
      producer_partition_columns: 'user_id',
      producer_partition_by_fallback: 'table',
    };
    // Those of the producer are taken from a file alone.
    const file = join(folder, 'config.properties');
    await writeFile(file, propertiesText(options));
    return { command: [program, ...clientFlags(home), `--config=${file}`], env: {} };
  },
  viewIdOf: (value) => (value as { data: { id: number } }).data.id,
};

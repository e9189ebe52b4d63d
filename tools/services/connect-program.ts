import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, prepared } from './cache.ts';
import { KAFKA_VERSION } from './kafka-program.ts';
import { fetchJars, prepareJava } from './maven.ts';
import type { Say } from './types.ts';

/** Kafka Connect with Debezium's MySQL connector as its plugin, for the benchmarks. */
export interface ConnectProgram {
  java: string;
  classPath: string;
  /** For `plugin.path`: a folder that holds the connector's folder and nothing else. */
  pluginPath: string;
}

export const DEBEZIUM_VERSION = '3.6.1.Final';

/**
 * Both by Maven (33 and 34 MB), and Java, installed when need be.
 * @throws UnavailableError where that can't be done, saying what to install.
 */
export async function prepareConnect(cache: string, say: Say): Promise<ConnectProgram> {
  const java = await prepareJava(cache, 'Kafka Connect', say);
  const connect = await fetchJars(
    cache,
    {
      folder: `connect-${KAFKA_VERSION}`,
      title: `Kafka Connect ${KAFKA_VERSION}`,
      megabytes: 33,
      pom: 'connect-pom.xml',
    },
    say,
  );
  const debezium = await fetchJars(
    cache,
    {
      folder: `debezium-mysql-${DEBEZIUM_VERSION}`,
      title: `Debezium ${DEBEZIUM_VERSION}`,
      megabytes: 34,
      pom: 'debezium-pom.xml',
    },
    say,
  );
  const plugins = `plugins-${DEBEZIUM_VERSION}`;
  const pluginPath = await prepared(cache, plugins, say, async (partial) => {
    await mkdir(partial, { recursive: true });
    const link = join(partial, 'debezium-mysql');
    if (!(await exists(link))) await symlink(debezium, link);
  });
  return { java, classPath: `${connect}/*`, pluginPath };
}

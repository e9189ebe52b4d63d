import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UnavailableError } from '../../src/errors.ts';
import { exists, prepared } from './cache.ts';
import { run, which } from './commands.ts';
import { canInstallPackages, installPackages } from './debian.ts';
import type { Say } from './types.ts';

export interface KafkaProgram {
  java: string;
  /** For `java -cp`. */
  classPath: string;
}

export const KAFKA_VERSION = '4.3.0';
const JAVA_LEAST = 17;
const FOLDER = `kafka-${KAFKA_VERSION}`;

export const kafkaJars = (cache: string): string => join(cache, FOLDER);

/** Whether a broker can be started without fetching anything. */
export async function kafkaIsPrepared(cache: string): Promise<boolean> {
  return (await javaVersion()) >= JAVA_LEAST && (await exists(kafkaJars(cache)));
}

/**
 * Kafka's jars (44 MB) by Maven, and Java, installed when need be.
 * @throws UnavailableError where that can't be done, saying what to install.
 */
export async function prepareKafkaProgram(cache: string, say: Say): Promise<KafkaProgram> {
  if ((await javaVersion()) < JAVA_LEAST) {
    await installPackages(cache, ['default-jre-headless'], 'Kafka', say);
    if ((await javaVersion()) < JAVA_LEAST) {
      throw new UnavailableError(`Kafka needs Java >= ${JAVA_LEAST}: install it, or start Docker.`);
    }
  }
  const jars = await prepared(cache, FOLDER, say, async (folder) => {
    if (which('mvn') === null) {
      if (!canInstallPackages()) {
        throw new UnavailableError(
          'Fetching Kafka needs Maven (mvn): install it, or start Docker.',
        );
      }
      await installPackages(cache, ['maven'], 'fetching Kafka', say);
    }
    say(`fetching Kafka ${KAFKA_VERSION} by Maven (44 MB)`);
    const pom = join(folder, 'pom.xml');
    await copyFile(join(import.meta.dirname, 'pom.xml'), pom);
    const options = [`-DoutputDirectory=${folder}`, '-DincludeScope=runtime'];
    await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', ...options]);
  });
  return { java: which('java') ?? 'java', classPath: `${jars}/*` };
}

async function javaVersion(): Promise<number> {
  if (which('java') === null) return 0;
  const text = await run('java', ['--version']).catch(() => '');
  return Number(/^\w+ (\d+)/.exec(text)?.[1] ?? 0);
}

import { join } from 'node:path';
import { exists } from './cache.ts';
import { fetchJars, hasJava, prepareJava } from './maven.ts';
import type { Say } from './types.ts';

export interface KafkaProgram {
  java: string;
  /** For `java -cp`. */
  classPath: string;
}

export const KAFKA_VERSION = '4.3.0';
const FOLDER = `kafka-${KAFKA_VERSION}`;

export const kafkaJars = (cache: string): string => join(cache, FOLDER);

/** Whether a broker can be started without fetching anything. */
export async function kafkaIsPrepared(cache: string): Promise<boolean> {
  return (await hasJava()) && (await exists(kafkaJars(cache)));
}

/**
 * Kafka's jars (44 MB) by Maven, and Java, installed when need be.
 * @throws UnavailableError where that can't be done, saying what to install.
 */
export async function prepareKafkaProgram(cache: string, say: Say): Promise<KafkaProgram> {
  const java = await prepareJava(cache, 'Kafka', say);
  const title = `Kafka ${KAFKA_VERSION}`;
  const jars = await fetchJars(
    cache,
    { folder: FOLDER, title, megabytes: 44, pom: 'pom.xml' },
    say,
  );
  return { java, classPath: `${jars}/*` };
}

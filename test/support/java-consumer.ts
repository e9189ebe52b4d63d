import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { servicesDir } from '../../tools/services/cache.ts';
import { prepareKafkaProgram } from '../../tools/services/kafka-program.ts';

const CONSOLE_CONSUMER = 'org.apache.kafka.tools.consumer.ConsoleConsumer';

/**
 * What Kafka's own console consumer (in Java, checking every checksum) reads of a topic: a line a
 * message, `CreateTime:<ms>\\t<headers>\\t<key>\\t<value>`.
 */
export async function readWithJava(
  brokers: readonly string[],
  topic: string,
  messages: number,
): Promise<string[]> {
  const { java, classPath } = await prepareKafkaProgram(servicesDir(), () => undefined);
  const properties = ['timestamp', 'headers', 'key', 'value'].flatMap((what) => [
    '--formatter-property',
    `print.${what}=true`,
  ]);
  const args = [
    '-Xmx128m',
    '-XX:TieredStopAtLevel=1',
    '-cp',
    classPath,
    CONSOLE_CONSUMER,
    '--from-beginning',
    `--bootstrap-server=${brokers.join(',')}`,
    `--topic=${topic}`,
    `--max-messages=${messages}`,
    '--timeout-ms=40000',
    ...properties,
  ];
  const { stdout } = await promisify(execFile)(java, args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout.split('\n').slice(0, -1);
}

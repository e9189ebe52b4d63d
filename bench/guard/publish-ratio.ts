import { pino } from 'pino';
import { createClient, openWire } from '../../src/topics/kafka/client.ts';
import { RecordBatch } from '../../src/topics/batch/record-batch.ts';
import type { SealedBatch } from '../../src/topics/kafka/wire/brokers.ts';
import { openTopics } from '../../src/topics/open.ts';
import type { Publisher } from '../../src/topics/port.ts';
import { WatchedTopics } from '../peers/topic.ts';
import type { Stage } from '../stage.ts';
import { type Costs, cpuSecondsOf } from './cpu.ts';

const PARTITIONS = 6;
/** Of one publish, and of one request of ready-made batches. */
const MESSAGES = 5_000;
const WARM_ROUNDS = 4;
const NO_PRODUCER = { id: -1n, epoch: -1, sequence: -1 };
const HEADERS = new Uint8Array([0]);

const value = (n: number): string =>
  `{"id":${n},"user_id":${n % 997},"page":"pricing","device":"mobile","browser":"Chrome","location":"Austin, TX","event_time":"2026-01-13T14:30:45Z"}`;

async function publishOnce(publisher: Publisher, topic: string, timestampMs: number) {
  const batch = publisher.batch();
  for (let n = 0; n < MESSAGES; n += 1) {
    batch.push({ topic, key: String(n % 997), value: value(n), timestampMs, headers: {} });
  }
  await publisher.publish(batch);
}

function readyMade(topic: string, timestampMs: number): SealedBatch[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => {
    const batch = new RecordBatch();
    for (let n = partition; n < MESSAGES; n += PARTITIONS) {
      const key = Buffer.from(String(n % 997));
      batch.push(key, key.length, value(n), timestampMs, HEADERS);
    }
    return { topic, partition, bytes: batch.seal(NO_PRODUCER) };
  });
}

/** CPU of publishing, and of sending batches that are ready made. */
export async function publishCosts(
  stage: Stage,
  { publishes, rounds }: { publishes: number; rounds: number },
): Promise<Costs> {
  const topic = `bench_${process.pid}_guard_${performance.now().toFixed(0)}`;
  await using watched = await WatchedTopics.open(stage.kafka.brokers);
  await watched.create(topic);
  const { brokers } = stage.kafka;
  const kafka = { brokers: [...brokers], clientId: 'bench', ssl: false, sasl: null };
  const logger = pino({ level: 'silent' });
  const stateDir = '';
  await using topics = await openTopics({ kafka, topic, partitions: PARTITIONS, stateDir }, logger);
  await using publisher = await topics.publisher();
  await using wire = openWire(kafka, createClient(kafka, logger, 4));
  const { signal } = new AbortController();
  await wire.leaders.know([topic], signal);
  const node = wire.leaders.leaderOf({ topic, partition: 0 }) ?? 0;
  const timestampMs = Date.now();
  const batches = readyMade(topic, timestampMs);
  const publish = async (): Promise<void> => {
    for (let n = 0; n < publishes; n += 1) await publishOnce(publisher, topic, timestampMs);
  };
  const sendReady = async (): Promise<void> => {
    for (let n = 0; n < publishes; n += 1) {
      const answers = await wire.brokers.produce(node, batches, signal);
      const failed = answers.find(({ errorCode }) => errorCode !== 0);
      if (failed !== undefined) throw new Error(`ready-made batches: error ${failed.errorCode}`);
    }
  };
  // Until all of it is compiled.
  for (let n = 0; n < WARM_ROUNDS; n += 1) {
    await publish();
    await sendReady();
  }
  const costs: Costs = { own: [], reference: [] };
  for (let round = 0; round < rounds; round += 1) {
    costs.own.push(await cpuSecondsOf(publish));
    costs.reference.push(await cpuSecondsOf(sendReady));
  }
  await watched.delete([topic]);
  return costs;
}

import type { Broker, Cluster, EachBatchPayload } from 'kafkajs';
import type { ReceivedMessage, TopicPartition } from '../../port.ts';
import type { FetchAnswer } from './brokers.ts';
import { NO_ERROR } from './error-codes.ts';
import { type Inside, type Protocol, checkFetchVersion } from './inside.ts';
import { decodeFetch } from './messages.ts';
import { type ReadBatch, readBatches } from './records.ts';

/**
 * What an answer holds of one partition, in the place of a record of kafkajs (consumer/batch.js):
 * it looks at these two fields, and does by itself with what nobody is shown.
 */
interface Part {
  /** The last one of the part. */
  offset: string;
  isControlRecord: boolean;
  batches: ReadBatch[];
}

type LookingUp = Broker & { lookupRequest: (apiKey: number, definition: unknown) => ProtocolOf };
type ProtocolOf = (options: unknown) => Protocol;

/**
 * Of kafkajs' consumer, whose cluster this is, the membership and the place in each partition stay,
 * and so does what it asks for; what comes is read here. (Its decoder makes some dozen objects of a
 * record: two thirds of the time of a long backlog.)
 */
export function readFetches(cluster: Cluster, inside: Inside): void {
  const findBroker = cluster.findBroker.bind(cluster);
  cluster.findBroker = async (node) => {
    const broker = (await findBroker(node)) as LookingUp;
    const lookupRequest: LookingUp['lookupRequest'] = (apiKey, definition) => {
      const theirs = broker.lookupRequest(apiKey, definition);
      return apiKey === inside.apiKeys.Fetch ? reading(inside, theirs) : theirs;
    };
    const own = { lookupRequest: { value: lookupRequest, writable: true } };
    return Object.create(broker, own) as Broker;
  };
}

function reading(inside: Inside, theirs: ProtocolOf): ProtocolOf {
  return (options) => {
    const { request, response, ...rest } = theirs(options);
    const version = checkFetchVersion(request);
    const decode = (payload: Buffer) => decodeAnswer(inside, payload, version);
    return { request, response: { ...response, decode }, ...rest };
  };
}

/** As kafkajs' decoder has it (requests/fetch/v11/response.js), but for the messages. */
async function decodeAnswer(inside: Inside, payload: Buffer, version: number): Promise<unknown> {
  const { errorCode, throttleMs, answers } = decodeFetch(payload, version);
  if (errorCode !== NO_ERROR) throw inside.errorOf(errorCode);
  const responses = [];
  for (const answer of answers) {
    const { topic, partition, errorCode, highWatermark } = answer;
    const messages = await partsOf(inside, answer);
    const one = { partition, errorCode, highWatermark: String(highWatermark), messages };
    responses.push({ topicName: topic, partitions: [one] });
  }
  return { throttleTime: 0, clientSideThrottleTime: throttleMs, responses };
}

/** None, or one. */
async function partsOf(inside: Inside, answer: FetchAnswer): Promise<Part[]> {
  const batches: ReadBatch[] = [];
  for await (const batch of readBatches(inside, answer)) batches.push(batch);
  const last = batches.at(-1);
  if (last === undefined) return [];
  const isControlRecord = batches.every(({ isEmpty }) => isEmpty);
  return [{ offset: String(last.nextOffset - 1), isControlRecord, batches }];
}

/** What was fetched of a partition. */
export interface Fetched extends TopicPartition {
  asked: number;
  /** Nothing from `asked` on lies before it, except what compaction took. */
  first: number;
  /** Kafkajs goes on after it. */
  last: number;
  /** Made when they are asked for. */
  messages: () => ReceivedMessage[];
}

/**
 * kafkajs' batch, as its messages were read by `readFetches`; its types know nothing of either.
 * @throws TypeError for one that kafkajs has read by itself: it must not count as empty.
 */
export function fetchedOf(batch: EachBatchPayload['batch']): Fetched {
  const { topic, partition } = batch;
  const { fetchedOffset, messages: parts } = batch as unknown as {
    fetchedOffset: string;
    messages: Partial<Part>[];
  };
  const asked = Number(fetchedOffset);
  const batches = parts.flatMap((part) => {
    if (part.batches === undefined) throw new TypeError('a fetch was not read by its own reader');
    return part.batches;
  });
  return {
    topic,
    partition,
    asked,
    first: Math.max(asked, batches[0]?.firstOffset ?? asked),
    last: Number(batch.lastOffset()),
    messages: () =>
      batches.flatMap((one) => one.messages()).filter(({ offset }) => offset >= asked),
  };
}

import { createRequire } from 'node:module';
import type { Cluster, EachBatchPayload } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import { encodeHeaders } from '../../src/topics/batch/headers.ts';
import { RecordBatch } from '../../src/topics/batch/record-batch.ts';
import { fetchedOf, readFetches } from '../../src/topics/kafka/wire/group-fetch.ts';
import { kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';

type Batch = EachBatchPayload['batch'] & {
  isEmpty(): boolean;
  isEmptyDueToFiltering(): boolean;
};

/** kafkajs' own: what its consumer makes of an answer. */
const BatchOfKafkajs = createRequire(import.meta.url)('kafkajs/src/consumer/batch.js') as new (
  topic: string,
  asked: string,
  answer: unknown,
) => Batch;

const LAST_DELTA_AT = 23;
const ATTRIBUTES_AT = 21;
const IS_TRANSACTIONAL = 0x10;
const IS_CONTROL = 0x20;

function batch(offset: number, values: readonly string[], attributes = 0, id = -1n): Buffer {
  const records = new RecordBatch();
  for (const value of values) records.push(null, 0, value, 1_000, encodeHeaders({}));
  const sealed = Buffer.from(records.seal({ id, epoch: 0, sequence: -1 }));
  sealed.writeBigInt64BE(BigInt(offset), 0);
  sealed.writeInt16BE(attributes, ATTRIBUTES_AT);
  return sealed;
}

function marker(offset: number, id: bigint, isAbort: boolean): Buffer {
  const records = new RecordBatch();
  records.push(
    Buffer.from([0, 0, 0, isAbort ? 0 : 1]),
    4,
    Buffer.alloc(6),
    1_000,
    encodeHeaders({}),
  );
  const sealed = Buffer.from(records.seal({ id, epoch: 0, sequence: -1 }));
  sealed.writeBigInt64BE(BigInt(offset), 0);
  sealed.writeInt16BE(IS_TRANSACTIONAL | IS_CONTROL, ATTRIBUTES_AT);
  return sealed;
}

interface Answer {
  records: Buffer;
  aborted?: readonly (readonly [id: bigint, firstOffset: bigint])[];
  errorCode?: number;
  throttleMs?: number;
}

/** The answer to Fetch, version 11, about partition 3 of the topic `views`, which ends at 1000. */
function payloadOf({ records, aborted = [], errorCode = 0, throttleMs = 0 }: Answer): Buffer {
  const head = Buffer.alloc(4 + 2 + 4 + 4 + 2 + 5 + 4 + 4 + 2 + 8 + 8 + 8 + 4);
  let at = head.writeInt32BE(throttleMs, 0);
  at = head.writeInt32BE(0, head.writeInt16BE(0, at));
  at = head.writeInt16BE(5, head.writeInt32BE(1, at));
  at += head.write('views', at);
  at = head.writeInt16BE(errorCode, head.writeInt32BE(3, head.writeInt32BE(1, at)));
  for (const offset of [1_000n, 1_000n, 0n]) at = head.writeBigInt64BE(offset, at);
  head.writeInt32BE(aborted.length, at);
  const rest = Buffer.alloc(aborted.length * 16 + 8);
  at = 0;
  for (const [id, first] of aborted) at = rest.writeBigInt64BE(first, rest.writeBigInt64BE(id, at));
  rest.writeInt32BE(records.length, rest.writeInt32BE(-1, at));
  return Buffer.concat([head, rest, records]);
}

interface Decoded {
  clientSideThrottleTime: number;
  responses: { topicName: string; partitions: { errorCode: number; highWatermark: string }[] }[];
}

const inside = kafkajsInside();

/** The protocol that kafkajs' consumer would look up for a question. */
async function lookedUp(apiKey: number, apiVersion = 11) {
  const theirs = {
    request: { apiName: 'Fetch', apiKey, apiVersion },
    response: { decode: () => Promise.resolve('theirs'), parse: () => Promise.resolve('parsed') },
    requestTimeout: 7,
  };
  const broker = { lookupRequest: () => () => theirs };
  const cluster = { findBroker: () => Promise.resolve(broker) } as unknown as Cluster;
  readFetches(cluster, inside);
  const found = (await cluster.findBroker({ nodeId: '1' })) as unknown as {
    lookupRequest: (
      key: number,
      definition: unknown,
    ) => (options: unknown) => {
      response: { decode: (payload: Buffer) => Promise<Decoded>; parse: () => Promise<string> };
      requestTimeout: number;
    };
  };
  return found.lookupRequest(apiKey, {})({});
}

const decode = async (answer: Answer): Promise<Decoded> =>
  await (await lookedUp(inside.apiKeys.Fetch)).response.decode(payloadOf(answer));

/** What kafkajs' consumer hands over, having asked from `asked` on. */
async function batchOf(asked: number, answer: Answer): Promise<Batch> {
  const { responses } = await decode(answer);
  return new BatchOfKafkajs('views', String(asked), responses[0]?.partitions[0]);
}

const valuesOf = (of: Batch): (string | null)[] =>
  fetchedOf(of)
    .messages()
    .map(({ value }) => value);

describe('a fetch of the group consumer', () => {
  it('is handed over with its own numbers, from the offset on that was asked for', async () => {
    const records = Buffer.concat([batch(10, ['a', 'b', 'c']), batch(13, ['d'])]);
    const found = await batchOf(11, { records });
    expect(fetchedOf(found)).toMatchObject({
      topic: 'views',
      partition: 3,
      asked: 11,
      first: 11,
      last: 13,
    });
    expect(valuesOf(found)).toEqual(['b', 'c', 'd']);
    expect(found.isEmpty()).toBe(false);
  });

  it('begins where its first batch does when there is a gap, and ends by the numbers of its last', async () => {
    const last = batch(30, ['a']);
    last.writeInt32BE(9, LAST_DELTA_AT); // Of ten, one is left.
    expect(fetchedOf(await batchOf(20, { records: last }))).toMatchObject({ first: 30, last: 39 });
  });

  it('of markers alone is passed over by kafkajs, up to the last of them', async () => {
    const records = Buffer.concat([marker(20, 5n, false), marker(21, 6n, true)]);
    const found = await batchOf(20, { records });
    expect(found.isEmptyDueToFiltering()).toBe(true);
    expect(found.lastOffset()).toBe('21');
  });

  it('of what was rolled back alone is passed over too', async () => {
    const records = Buffer.concat([
      batch(20, ['a', 'b'], IS_TRANSACTIONAL, 5n),
      marker(22, 5n, true),
    ]);
    const found = await batchOf(20, { records, aborted: [[5n, 20n]] });
    expect(found.isEmptyDueToFiltering()).toBe(true);
    expect(found.lastOffset()).toBe('22');
  });

  it('holds what was committed between, and goes on after the marker', async () => {
    const records = Buffer.concat([
      batch(20, ['gone'], IS_TRANSACTIONAL, 5n),
      batch(21, ['kept'], IS_TRANSACTIONAL, 6n),
      marker(22, 5n, true),
      marker(23, 6n, false),
    ]);
    const found = await batchOf(20, { records, aborted: [[5n, 20n]] });
    expect(valuesOf(found)).toEqual(['kept']);
    expect(fetchedOf(found)).toMatchObject({ first: 20, last: 23 });
  });

  it('without a whole batch holds nothing, and moves nothing', async () => {
    const cut = batch(20, ['a']).subarray(0, -1);
    for (const records of [Buffer.alloc(0), cut]) {
      const found = await batchOf(20, { records });
      expect(found.isEmpty()).toBe(true);
      expect(found.isEmptyDueToFiltering()).toBe(false);
    }
  });

  it('leaves errors of a partition, and how long to wait, to kafkajs', async () => {
    const answer = await decode({ records: Buffer.alloc(0), errorCode: 6, throttleMs: 250 });
    expect(answer.clientSideThrottleTime).toBe(250);
    expect(answer.responses).toMatchObject([
      { topicName: 'views', partitions: [{ errorCode: 6, highWatermark: '1000' }] },
    ]);
    const { response, requestTimeout } = await lookedUp(inside.apiKeys.Fetch);
    expect([await response.parse(), requestTimeout]).toEqual(['parsed', 7]);
  });

  // Guards that nothing is passed over should kafkajs' decoder be run after all.
  it('that kafkajs has read by itself is an error, not an empty one', () => {
    const messages = [{ offset: '20', value: Buffer.from('a') }];
    const answer = { partition: 3, highWatermark: '21', messages };
    expect(() => fetchedOf(new BatchOfKafkajs('views', '20', answer))).toThrow(TypeError);
  });

  it('is the only question that is read here, and needs a broker that knows its batches', async () => {
    const other = await lookedUp(inside.apiKeys.Metadata);
    expect(await other.response.decode(Buffer.alloc(0))).toBe('theirs');
    await expect(lookedUp(inside.apiKeys.Fetch, 3)).rejects.toThrow(UnavailableError);
  });
});

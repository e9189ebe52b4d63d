import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../../src/errors.ts';
import { readRanges } from '../../src/topics/kafka/read-ranges.ts';
import { encodeHeaders } from '../../src/topics/batch/headers.ts';
import { RecordBatch } from '../../src/topics/batch/record-batch.ts';
import type {
  FetchAnswer,
  FetchQuestion,
  OffsetAnswer,
  OffsetQuestion,
} from '../../src/topics/kafka/wire/brokers.ts';
import {
  NOT_LEADER_OR_FOLLOWER,
  OFFSET_OUT_OF_RANGE,
} from '../../src/topics/kafka/wire/error-codes.ts';
import { kafkajsInside } from '../../src/topics/kafka/wire/inside.ts';
import { Wire } from '../../src/topics/kafka/wire/wire.ts';
import { StandInBrokers } from '../support/stand-in-brokers.ts';

/** Offsets `from` to `to`; where it is compacted, only the first of them has a message. */
interface Stored {
  from: number;
  to: number;
  isCompacted: boolean;
}

function batchOf({ from, to, isCompacted }: Stored): Buffer {
  const batch = new RecordBatch();
  for (let offset = from; offset < (isCompacted ? from + 1 : to); offset++) {
    batch.push(null, 0, String(offset), 1_000, encodeHeaders({}));
  }
  const sealed = Buffer.from(batch.seal({ id: -1n, epoch: 0, sequence: -1 }));
  sealed.writeBigInt64BE(BigInt(from), 0);
  sealed.writeInt32BE(to - from - 1, 23);
  return sealed;
}

class StoredBrokers extends StandInBrokers {
  stored: Stored[] = [];
  begin = 0;
  end = 0;
  asked = 0;
  /** Answers with this before anything else. */
  errors: number[] = [];
  isSilent = false;

  override listOffsets(_node: number, asked: readonly OffsetQuestion[]): Promise<OffsetAnswer[]> {
    return Promise.resolve(asked.map((at) => ({ ...at, errorCode: 0, offset: this.begin })));
  }

  override fetch(
    _node?: number,
    asked: readonly FetchQuestion[] = [],
    waitMs = 0,
  ): Promise<FetchAnswer[]> {
    this.asked += 1;
    if (this.isSilent) return Promise.reject(new Error('the connection is closed'));
    const answers = asked.map(({ offset, ...at }): FetchAnswer => {
      const { end } = this;
      const isOutside = offset < this.begin || offset > end;
      const errorCode = this.errors.shift() ?? (isOutside ? OFFSET_OUT_OF_RANGE : 0);
      const next = this.stored.find(({ to }) => to > offset);
      const hasNone = errorCode !== 0 || next === undefined;
      const records = hasNone ? Buffer.alloc(0) : batchOf(next);
      return { ...at, errorCode, highWatermark: end, end, aborted: [], records };
    });
    const isEmpty = answers.every(({ records }) => records.length === 0);
    return new Promise((resolve) => setTimeout(resolve, isEmpty ? waitMs : 0)).then(() => answers);
  }
}

const LIMITS = { silenceMsMax: 1_500, shortMsMax: 300 };

async function read(brokers: StoredBrokers, begin: number, end: number): Promise<number[]> {
  const wire = new Wire(brokers, kafkajsInside());
  const range = { topic: 't', partition: 0, begin, end };
  const { signal } = new AbortController();
  const offsets: number[] = [];
  for await (const messages of readRanges(wire, [range], signal, 'Kafka at here', LIMITS)) {
    offsets.push(...messages.map(({ offset }) => offset));
  }
  return offsets;
}

function brokersWith(...stored: [from: number, to: number, isCompacted: boolean][]) {
  const brokers = new StoredBrokers([1]);
  brokers.stored = stored.map(([from, to, isCompacted]) => ({ from, to, isCompacted }));
  brokers.end = stored.at(-1)?.[1] ?? 0;
  return brokers;
}

describe('a range of a partition', () => {
  it('is read from its begin to its end, where batches hold more than it', async () => {
    const brokers = brokersWith([0, 5, false], [5, 12, false]);
    expect(await read(brokers, 3, 8)).toEqual([3, 4, 5, 6, 7]);
  });

  it('ends by the numbers of the last batch where its last offsets have no message', async () => {
    const brokers = brokersWith([0, 50, true], [50, 90, true], [90, 1_000, true]);
    expect(await read(brokers, 0, 1_000)).toEqual([0, 50, 90]);
    // Not by asking again until nothing comes.
    expect(brokers.asked).toBe(3);
  });

  it('is read on where leaders move, and where they answer nothing for a moment', async () => {
    const brokers = brokersWith([0, 3, false]);
    brokers.errors = [NOT_LEADER_OR_FOLLOWER, NOT_LEADER_OR_FOLLOWER];
    brokers.isSilent = true;
    setTimeout(() => (brokers.isSilent = false), 300);
    expect(await read(brokers, 0, 3)).toEqual([0, 1, 2]);
  });

  it('passes over what retention has dropped', async () => {
    const brokers = brokersWith([40, 45, false]);
    brokers.begin = 40;
    expect(await read(brokers, 0, 42)).toEqual([40, 41]);
    const all = brokersWith([40, 45, false]);
    all.begin = 40;
    expect(await read(all, 0, 30)).toEqual([]);
  });

  it('ends where the topic was truncated or made again, and does not wait for what is gone', async () => {
    const truncated = brokersWith([0, 5, false]);
    expect(await read(truncated, 0, 10)).toEqual([0, 1, 2, 3, 4]);
    expect(await read(brokersWith([0, 5, false]), 8, 10)).toEqual([]);
  });

  it('is given up, with what to check, where no broker answers any more', async () => {
    const brokers = brokersWith([0, 5, false]);
    brokers.isSilent = true;
    const reading = read(brokers, 0, 5);
    await expect(reading).rejects.toThrow(UnavailableError);
    await expect(reading).rejects.toThrow(
      'Kafka at here gives no answer any more (the connection is closed)',
    );
  });
});

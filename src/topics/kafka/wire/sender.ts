import { setTimeout as sleep } from 'node:timers/promises';
import type { BatchSet } from '../../batch/batch-set.ts';
import { type PartitionQueue, clampFirst } from '../../batch/partition-queue.ts';
import type { RecordBatch } from '../../batch/record-batch.ts';
import { keyOf } from '../../key-of.ts';
import type { Brokers, ProducerNumber, SealedBatch } from './brokers.ts';
import type { Compressor } from './compression.ts';
import {
  INVALID_TIMESTAMP,
  LOST_SEQUENCE,
  MESSAGE_TOO_LARGE,
  NO_ERROR,
  RECORD_LIST_TOO_LARGE,
} from './error-codes.ts';
import type { Leaders } from './leaders.ts';
import { nextSequence } from './sequence.ts';

/** All batches of one request together; one that is larger by itself goes alone. */
const REQUEST_BYTES_MAX = 900 * 1024;
const RETRY_MS = [20, 100, 250, 500, 1_000];

/** Why something could not be sent yet. */
export interface SendTrouble {
  /** null where no broker has answered for the partition. */
  errorCode: number | null;
  message: string;
  queue: PartitionQueue | null;
}

export interface SenderDeps {
  brokers: Brokers;
  leaders: Leaders;
  compressor: Compressor | null;
  /** The time by this machine's clock, epoch ms. */
  nowMs: () => number;
  /** kafkajs' text for an error code. */
  textOf: (errorCode: number) => string;
}

interface Sent {
  queue: PartitionQueue;
  batch: RecordBatch;
}

/**
 * Sends batches until the leader of every partition has answered for it.
 *
 * Invariant: a batch leaves its queue only when the leader of its partition has said that all
 * in-sync replicas have it; whatever has no such answer is sent again, to whoever leads by then. A
 * partition has one batch under way at most, and a broker one request, so order per partition holds.
 *
 * The producer is idempotent (an id, and a number for every record of a partition). Order alone
 * does not need it while answers come, but a request that was given up may still be lying in a
 * network and be written after newer ones: a repeated page view changes nothing, but in a compacted
 * topic the late one would count. With the numbers a broker refuses it. Only when the numbers are
 * lost (an answer that says so, a stop in the middle, batches dealt out anew) a new producer
 * begins, and what was under way may come twice.
 *
 * One `send` at a time.
 */
export class Sender {
  readonly #deps: SenderDeps;
  #producer: ProducerNumber | null = null;
  /** By partition, the number of the next record. */
  readonly #sequences = new Map<string, number>();
  readonly #compressed = new WeakMap<RecordBatch, Promise<Uint8Array>>();

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when all of `set` is written. `onTrouble` is told after every round that left
   * something to send again. @throws the signal's reason once it aborts: what was written is open.
   */
  async send(
    set: BatchSet,
    signal: AbortSignal,
    onTrouble: (trouble: SendTrouble) => void,
  ): Promise<void> {
    let failures = 0;
    try {
      for (let queues = set.queues; queues.length > 0; queues = set.queues) {
        const { trouble, hasProgress } = await this.#round(queues, signal);
        if (hasProgress) failures = 0;
        if (trouble === null) continue;
        signal.throwIfAborted();
        onTrouble(trouble);
        await sleep(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)], undefined, { signal });
        failures += 1;
        await this.#lookAgain(set, signal, onTrouble);
      }
    } catch (error) {
      this.#forgetProducer();
      throw error;
    }
  }

  /** One request to every leader that has something to get. */
  async #round(
    queues: readonly PartitionQueue[],
    signal: AbortSignal,
  ): Promise<{ trouble: SendTrouble | null; hasProgress: boolean }> {
    try {
      this.#producer ??= await this.#deps.brokers.producer(signal);
    } catch (error) {
      const { message } = error as Error;
      return { trouble: { errorCode: null, message, queue: null }, hasProgress: false };
    }
    const stamp = this.#producer;
    const requests = this.#divide(queues);
    const outcomes = await Promise.all(
      [...requests].map(async ([node, sent]) => this.#request(node, sent, stamp, signal)),
    );
    const troubles = outcomes.flatMap(({ troubles }) => troubles);
    const waiting = queues.find((queue) => this.#deps.leaders.leaderOf(queue) === null);
    if (waiting !== undefined) {
      const isThere = this.#deps.leaders.partitions(waiting.topic) > waiting.partition;
      const what = isThere ? 'no broker leads a partition of it' : 'it is not there';
      const message = `the topic ${waiting.topic}: ${what}`;
      troubles.push({ errorCode: null, message, queue: waiting });
    }
    if (troubles.some(({ errorCode }) => errorCode !== null && LOST_SEQUENCE.has(errorCode))) {
      this.#forgetProducer();
    }
    const [trouble = null] = troubles.toSorted((a, b) => rank(a) - rank(b));
    return { trouble, hasProgress: outcomes.some(({ written }) => written > 0) };
  }

  /** The first batch of every partition, as many as a request takes. Those without a leader wait. */
  #divide(queues: readonly PartitionQueue[]): Map<number, Sent[]> {
    const requests = new Map<number, Sent[]>();
    const bytes = new Map<number, number>();
    for (const queue of queues) {
      const node = this.#deps.leaders.leaderOf(queue);
      const [batch] = queue.batches;
      if (node === null || batch === undefined) continue;
      const before = bytes.get(node) ?? 0;
      if (before > 0 && before + batch.bytes > REQUEST_BYTES_MAX) continue;
      bytes.set(node, before + batch.bytes);
      const sent = requests.get(node) ?? [];
      sent.push({ queue, batch });
      requests.set(node, sent);
    }
    return requests;
  }

  async #request(
    node: number,
    sent: readonly Sent[],
    stamp: ProducerNumber,
    signal: AbortSignal,
  ): Promise<{ troubles: SendTrouble[]; written: number }> {
    const codes = new Map<string, number>();
    let message = 'the broker has not answered for the partition';
    try {
      const sealed = await this.#seal(sent, stamp);
      for (const answer of await this.#deps.brokers.produce(node, sealed, signal)) {
        codes.set(keyOf(answer), answer.errorCode);
      }
    } catch (error) {
      message = (error as Error).message;
    }
    const troubles: SendTrouble[] = [];
    let written = 0;
    for (const { queue, batch } of sent) {
      const errorCode = codes.get(keyOf(queue)) ?? null;
      if (errorCode === NO_ERROR) {
        this.#written(queue, batch);
        written += 1;
      } else if (errorCode === null) troubles.push({ errorCode, message, queue });
      else if (isTooLarge(errorCode) && splitFirst(queue)) written += 1;
      else {
        if (errorCode === INVALID_TIMESTAMP) clampFirst(queue, this.#deps.nowMs());
        troubles.push({ errorCode, message: this.#deps.textOf(errorCode), queue });
      }
    }
    return { troubles, written };
  }

  async #seal(sent: readonly Sent[], stamp: ProducerNumber): Promise<SealedBatch[]> {
    const { compressor } = this.#deps;
    return await Promise.all(
      sent.map(async ({ queue, batch }) => {
        const { topic, partition } = queue;
        const sequence = this.#sequences.get(keyOf(queue)) ?? 0;
        const compressed =
          compressor === null
            ? null
            : { codec: compressor.codec, bytes: await this.#compress(compressor, batch) };
        return { topic, partition, bytes: batch.seal({ ...stamp, sequence }, compressed) };
      }),
    );
  }

  /** Once, however often it is sent. */
  #compress(compressor: Compressor, batch: RecordBatch): Promise<Uint8Array> {
    let bytes = this.#compressed.get(batch);
    if (bytes === undefined)
      this.#compressed.set(batch, (bytes = compressor.compress(batch.records)));
    return bytes;
  }

  #written(queue: PartitionQueue, batch: RecordBatch): void {
    queue.batches.shift();
    const key = keyOf(queue);
    this.#sequences.set(key, nextSequence(this.#sequences.get(key) ?? 0, batch.count));
    batch.release();
  }

  #forgetProducer(): void {
    this.#producer = null;
    this.#sequences.clear();
  }

  /** Who leads now, and how many partitions there are. Tells of trouble; does not throw it. */
  async #lookAgain(
    set: BatchSet,
    signal: AbortSignal,
    onTrouble: (trouble: SendTrouble) => void,
  ): Promise<void> {
    try {
      await this.#deps.leaders.refresh(set.topics, signal);
      if (set.dealAgain()) this.#forgetProducer();
    } catch (error) {
      signal.throwIfAborted();
      onTrouble({ errorCode: null, message: (error as Error).message, queue: null });
    }
  }
}

const isTooLarge = (errorCode: number): boolean =>
  errorCode === MESSAGE_TOO_LARGE || errorCode === RECORD_LIST_TOO_LARGE;

/** An answer says more than none. */
const rank = ({ errorCode }: SendTrouble): number => (errorCode === null ? 1 : 0);

/** Puts two halves in the place of the first batch; false for a single record. */
function splitFirst(queue: PartitionQueue): boolean {
  const halves = queue.batches[0]?.split() ?? null;
  if (halves === null) return false;
  queue.batches.splice(0, 1, ...halves);
  return true;
}

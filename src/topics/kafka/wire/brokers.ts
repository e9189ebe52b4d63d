import type { TopicPartition } from '../../port.ts';

/** The five questions that the program asks a cluster by itself; `KafkajsBrokers` asks them. */
export interface Brokers extends AsyncDisposable {
  /** Asks any broker that answers. @throws UnavailableError when none does. */
  metadata(topics: readonly string[], signal: AbortSignal): Promise<Map<string, TopicMetadata>>;
  /** A number for an idempotent producer, of any broker. */
  producer(signal: AbortSignal): Promise<ProducerNumber>;
  /**
   * Writes these batches, at most one a partition, to all in-sync replicas. The answer may lack
   * some. A rejection says nothing about what was written.
   */
  produce(
    node: number,
    batches: readonly SealedBatch[],
    signal: AbortSignal,
  ): Promise<PartitionAnswer[]>;
  listOffsets(
    node: number,
    asked: readonly OffsetQuestion[],
    signal: AbortSignal,
  ): Promise<OffsetAnswer[]>;
  /** Waits up to `waitMs` for a first message. Bytes are bounded by FETCH_BYTES_MAX. */
  fetch(
    node: number,
    asked: readonly FetchQuestion[],
    waitMs: number,
    signal: AbortSignal,
  ): Promise<FetchAnswer[]>;
}

export interface TopicMetadata {
  errorCode: number;
  /** Each partition's leader; null where it has none now. */
  leaders: (number | null)[];
}

export interface ProducerNumber {
  id: bigint;
  epoch: number;
}

export interface SealedBatch extends TopicPartition {
  bytes: Buffer;
}

export interface PartitionAnswer extends TopicPartition {
  errorCode: number;
}

/** `timestampMs` -1 asks for the end, -2 for the begin. */
export interface OffsetQuestion extends TopicPartition {
  timestampMs: number;
}

export interface OffsetAnswer extends PartitionAnswer {
  /** -1 where nothing is at or after the time. */
  offset: number;
}

export interface FetchQuestion extends TopicPartition {
  offset: number;
}

export interface FetchAnswer extends PartitionAnswer {
  /** Where the partition ends for a reader of all messages. */
  highWatermark: number;
  /** Where it ends for a reader of committed messages. */
  end: number;
  /** Transactions that were rolled back: from this offset on, up to its marker, nothing counts. */
  aborted: { producerId: bigint; firstOffset: number }[];
  /** Record batches, the last of which may be cut. */
  records: Buffer;
}

export const FETCH_BYTES_MAX = 4 * 1024 * 1024;
export const FETCH_PARTITION_BYTES_MAX = 1024 * 1024;

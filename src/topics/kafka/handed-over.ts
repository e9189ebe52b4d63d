import type { ReceivedMessage } from '../port.ts';

interface Begun {
  /** The offset after the last message that was given. */
  upto: number;
  taken: Promise<void>;
}

/**
 * Batches whose taking in was cut short because the connection broke: kafkajs fetches them again
 * without a rebalance. Each message is given once.
 */
export class HandedOver {
  readonly #begun = new Map<string, Begun>();

  clear(): void {
    this.#begun.clear();
  }

  /** The partition's batch was taken in as a whole. */
  done(partition: string): void {
    this.#begun.delete(partition);
  }

  /** Gives what was not given before; resolves when all of the batch was taken in. */
  give(
    partition: string,
    batch: readonly ReceivedMessage[],
    take: (messages: readonly ReceivedMessage[]) => Promise<void>,
  ): Promise<void> {
    const before = this.#begun.get(partition);
    const messages = batch.filter(({ offset }) => offset >= (before?.upto ?? 0));
    const last = messages.at(-1);
    if (last === undefined) return before?.taken ?? Promise.resolve();
    const taken = Promise.all([before?.taken, take(messages)]).then(() => undefined);
    this.#begun.set(partition, { upto: last.offset + 1, taken });
    return taken;
  }
}

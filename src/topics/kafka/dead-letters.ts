import type { Kafka, Message, Producer } from 'kafkajs';
import type { DeadLetter, DeadLetterStore, ReceivedMessage } from '../port.ts';

/** A send is one batch of the topic's only partition, and brokers refuse one of more than 1 MB. */
const LETTERS_A_SEND = 200;

/** Dead letters in a topic: the last message of a key counts, and one without a value removes it. */
export class KafkaDeadLetters implements DeadLetterStore, AsyncDisposable {
  readonly #kafka: Kafka;
  readonly #topic: string;
  readonly #readAll: () => AsyncIterable<ReceivedMessage[]>;
  #producer: Promise<Producer> | null = null;

  constructor(kafka: Kafka, topic: string, readAll: () => AsyncIterable<ReceivedMessage[]>) {
    this.#kafka = kafka;
    this.#topic = topic;
    this.#readAll = readAll;
  }

  async add(letters: readonly DeadLetter[]): Promise<void> {
    await this.#send(letters.map((letter) => ({ key: letter.id, value: JSON.stringify(letter) })));
  }

  async list(): Promise<DeadLetter[]> {
    const letters = new Map<string, DeadLetter>();
    for await (const messages of this.#readAll()) {
      for (const { key, value } of messages) {
        if (key === null) continue;
        letters.delete(key);
        if (value !== null) letters.set(key, JSON.parse(value) as DeadLetter);
      }
    }
    return [...letters.values()].sort((a, b) => a.time.localeCompare(b.time));
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#send(ids.map((id) => ({ key: id, value: null })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const producer = await this.#producer?.catch(() => null);
    await producer?.disconnect().catch(() => undefined);
  }

  async #send(messages: Message[]): Promise<void> {
    if (messages.length === 0) return;
    this.#producer ??= this.#connect();
    const connecting = this.#producer;
    try {
      const producer = await connecting;
      for (let i = 0; i < messages.length; i += LETTERS_A_SEND) {
        const some = messages.slice(i, i + LETTERS_A_SEND);
        await producer.send({ topic: this.#topic, messages: some, acks: -1 });
      }
    } catch (error) {
      if (this.#producer === connecting) this.#producer = null;
      void connecting.then((producer) => producer.disconnect()).catch(() => undefined);
      throw error;
    }
  }

  async #connect(): Promise<Producer> {
    const producer = this.#kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    return producer;
  }
}

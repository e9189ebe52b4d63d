import { UnavailableError } from '../../errors.ts';
import { BatchSet } from '../batch/batch-set.ts';
import type { DeadLetter, DeadLetterStore, KeptLetter, PartitionBounds } from '../port.ts';
import { LetterIndex, REMOVES, readLetter } from './letter-index.ts';
import { readRanges } from './read-ranges.ts';
import { keyOf } from '../key-of.ts';
import { TOPIC_AUTHORIZATION_FAILED } from './wire/error-codes.ts';
import { notAllowed } from './wire/leaders.ts';
import type { Sender } from './wire/sender.ts';
import type { Wire } from './wire/wire.ts';

/** Whoever keeps a letter tries again by himself. */
const SEND_MS_MAX = 15_000;
const NO_HEADERS = {};

export interface DeadLetterDeps {
  wire: Wire;
  topic: string;
  /** Aborts when the topics are closed. */
  closing: AbortSignal;
  description: string;
  /** What kafkajs throws, in one sentence. */
  explain: (error: unknown) => Error;
}

/**
 * Dead letters in a compacted topic: the last message of a key counts, and one without a value
 * removes the letter, but only the one that its header `removes` names by its offset, or an older
 * one. So a letter that was written meanwhile under the same id stays, whoever was first.
 *
 * Listing reads the topic twice: once for the offset of each letter that is still there (some 100
 * bytes a letter: 80 MB for 800,000), and once for the letters, some hundred at a time.
 */
export class KafkaDeadLetters implements DeadLetterStore {
  readonly #deps: DeadLetterDeps;
  readonly #sender: Sender;
  #last: Promise<void> = Promise.resolve();
  /** What was written since the letters were listed: what a removal may have hidden is among it. */
  readonly #since = new Map<string, LetterIndex>();
  readonly #counts = new Map<string, { begin: number; index: LetterIndex }>();

  constructor(deps: DeadLetterDeps) {
    this.#deps = deps;
    this.#sender = deps.wire.sender(null);
  }

  async add(letters: readonly DeadLetter[]): Promise<void> {
    const { topic, wire } = this.#deps;
    if (letters.length === 0) return;
    await this.#explained(async () => {
      await wire.leaders.wait([topic], this.#deps.closing);
      const nowMs = Date.now();
      const set = this.#batchSet();
      for (const letter of letters) {
        const value = JSON.stringify(letter);
        const message = { topic, key: letter.id, value, timestampMs: nowMs, headers: NO_HEADERS };
        set.push(message);
      }
      await this.#send(set);
    });
  }

  async count(): Promise<number> {
    return await this.#explained(async () => {
      let letters = 0;
      for (const range of await this.#ranges()) letters += (await this.#counted(range)).size;
      return letters;
    });
  }

  async *list(): AsyncIterable<KeptLetter[]> {
    const { wire, closing, description, explain } = this.#deps;
    try {
      for (const range of await this.#ranges()) {
        const index = await this.#index(range);
        const key = keyOf(range);
        if (!this.#since.has(key)) this.#since.set(key, new LetterIndex(range.end));
        for await (const messages of readRanges(wire, [range], closing, description)) {
          const kept = messages.filter((message) => index.isLast(message)).map(readLetter);
          if (kept.length > 0) yield kept.filter((one) => one !== null);
        }
        this.#checkOpen();
      }
    } catch (error) {
      throw explain(error);
    }
  }

  async remove(letters: readonly KeptLetter[]): Promise<void> {
    const { topic } = this.#deps;
    if (letters.length === 0) return;
    await this.#explained(async () => {
      await this.#deps.wire.leaders.wait([topic], this.#deps.closing);
      const set = this.#batchSet();
      const places = letters.map(({ letter, version }) => ({ id: letter.id, ...placeOf(version) }));
      for (const { id, partition, offset } of places) {
        const headers = { [REMOVES]: String(offset) };
        const message = { key: id, value: null, timestampMs: Date.now(), headers };
        set.pushTo({ topic, partition }, message);
      }
      await this.#send(set);
      await this.#restoreHidden(places);
    });
  }

  /**
   * A letter that came after it was listed and before its removal is hidden by it once the topic is
   * compacted, though it still counts: it is written once more.
   */
  async #restoreHidden(places: readonly { id: string; partition: number; offset: number }[]) {
    const { topic, wire, closing, description } = this.#deps;
    const set = this.#batchSet();
    for (const range of await this.#ranges()) {
      const mine = places.filter(({ partition }) => partition === range.partition);
      if (mine.length === 0) continue;
      const first = Math.min(...mine.map(({ offset }) => offset));
      const since = this.#since.get(keyOf(range)) ?? new LetterIndex(first + 1);
      this.#since.set(keyOf(range), since);
      await this.#read(since, range);
      for (const { id, partition } of mine) {
        const at = since.hidden(id);
        if (at === null) continue;
        const one = { ...range, begin: at, end: at + 1 };
        for await (const messages of readRanges(wire, [one], closing, description)) {
          const [message] = messages;
          if (message?.value == null) continue;
          const again = { ...message, key: id, value: message.value, headers: NO_HEADERS };
          set.pushTo({ topic, partition }, again);
        }
      }
    }
    if (set.queues.length > 0) await this.#send(set);
  }

  async #ranges(): Promise<PartitionBounds[]> {
    const { topic, wire, closing } = this.#deps;
    await wire.leaders.wait([topic], closing);
    const known = await wire.known([topic], closing);
    const bounds = await wire.bounds(known, closing);
    return known.map((at) => ({ ...at, ...(bounds.get(keyOf(at)) ?? { begin: 0, end: 0 }) }));
  }

  /** Asked for again and again, it reads only what came since. */
  async #counted(range: PartitionBounds): Promise<LetterIndex> {
    const key = keyOf(range);
    const known = this.#counts.get(key);
    // Where the log begins elsewhere, or ends before, it was cut or made anew.
    const isOld =
      known !== undefined && (known.begin !== range.begin || known.index.next > range.end);
    const index = known === undefined || isOld ? new LetterIndex(range.begin) : known.index;
    this.#counts.set(key, { begin: range.begin, index });
    await this.#read(index, range);
    return index;
  }

  async #index(range: PartitionBounds): Promise<LetterIndex> {
    const index = new LetterIndex(range.begin);
    await this.#read(index, range);
    return index;
  }

  /** Reads on from where the index is, up to the range's end. */
  async #read(index: LetterIndex, range: PartitionBounds): Promise<void> {
    const { wire, closing, description } = this.#deps;
    const rest = { ...range, begin: Math.max(range.begin, index.next) };
    for await (const messages of readRanges(wire, [rest], closing, description)) {
      for (const message of messages) index.take(message);
    }
    this.#checkOpen();
    index.next = Math.max(index.next, range.end);
  }

  /** A read that was cut short ends like one that found nothing. */
  #checkOpen(): void {
    if (this.#deps.closing.aborted) {
      throw new UnavailableError('The topics were closed while they were read');
    }
  }

  #batchSet(): BatchSet {
    const { leaders } = this.#deps.wire;
    return new BatchSet({ partitionsOf: (topic) => leaders.partitions(topic), nowMs: null });
  }

  /** One after the other. */
  #send(set: BatchSet): Promise<void> {
    const { closing, description } = this.#deps;
    const done = this.#last.then(async () => {
      const limit = AbortSignal.timeout(SEND_MS_MAX);
      let why = 'no answer';
      try {
        await this.#sender.send(
          set,
          AbortSignal.any([closing, limit]),
          ({ errorCode, message }) => {
            if (errorCode === TOPIC_AUTHORIZATION_FAILED) throw notAllowed(this.#deps.topic);
            why = message;
          },
        );
      } catch (error) {
        if (!limit.aborted) throw error;
        throw new UnavailableError(
          `${description} does not take dead letters (${why}); check that it runs`,
          { cause: error },
        );
      }
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#deps.explain(error);
    }
  }
}

function placeOf(version: string): { partition: number; offset: number } {
  const [partition, offset] = version.split(':').map(Number);
  return { partition: partition ?? 0, offset: offset ?? 0 };
}

import { InFlight, type InFlightItem } from '../in-flight.ts';
import type { TopicOffset, TopicPartition } from '../topics/port.ts';

interface Entry {
  at: TopicOffset;
  items: InFlight<number>;
}

/** How far each partition is finished: what may be committed. */
export class TopicProgress {
  readonly #partitions = new Map<string, Entry>();
  /** The one that was added to last: messages come in batches of one partition. */
  #last: Entry | null = null;

  /** A message that will need work: `next` is the offset to go on from once it is finished. */
  add(topic: string, partition: number, next: number): Tracked {
    const { items } = this.#entry(topic, partition);
    return { items, item: items.add(next) };
  }

  #entry(topic: string, partition: number): Entry {
    const last = this.#last;
    if (last !== null && last.at.partition === partition && last.at.topic === topic) return last;
    const key = `${topic}/${partition}`;
    let entry = this.#partitions.get(key);
    if (entry === undefined) {
      entry = { at: { topic, partition, offset: -1 }, items: new InFlight() };
      this.#partitions.set(key, entry);
    }
    this.#last = entry;
    return entry;
  }

  /** Forgets these partitions' messages: what finishes of them later moves nothing. */
  restart(partitions: readonly TopicPartition[]): void {
    this.#last = null;
    for (const { topic, partition } of partitions) this.#partitions.delete(`${topic}/${partition}`);
  }

  finish(tracked: Tracked): void {
    tracked.items.finish(tracked.item);
  }

  /** Offsets that could not be saved: `takeMoved` names them, or later ones, again. */
  giveBack(offsets: readonly TopicOffset[]): void {
    for (const { topic, partition, offset } of offsets) {
      const entry = this.#partitions.get(`${topic}/${partition}`);
      if (entry?.at.offset === offset) entry.at = { topic, partition, offset: -1 };
    }
  }

  /** The offsets that have moved since the last call. */
  takeMoved(): TopicOffset[] {
    const moved: TopicOffset[] = [];
    for (const entry of this.#partitions.values()) {
      const finished = entry.items.finishedPosition;
      if (finished === null || finished <= entry.at.offset) continue;
      entry.at = { ...entry.at, offset: finished };
      moved.push(entry.at);
    }
    return moved;
  }
}

export interface Tracked {
  items: InFlight<number>;
  item: InFlightItem<number>;
}

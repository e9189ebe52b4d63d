/** One thing that is under way, with the position that comes after it. */
export interface InFlightItem<P> {
  readonly position: P;
  finished: boolean;
}

/**
 * What is under way, in order. `finishedPosition` moves only past the oldest unfinished item, so
 * saving it can repeat work after a crash (a phantom) but never skip it (a hole).
 */
export class InFlight<P> {
  #items: InFlightItem<P>[] = [];
  #head = 0;
  #finishedPosition: P | null = null;

  /** How many items are unfinished, or finished behind an unfinished one. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** The position up to which everything is finished; null before the first item is. */
  get finishedPosition(): P | null {
    return this.#finishedPosition;
  }

  /** `position` is where to go on once this item, and all before it, are finished. */
  add(position: P): InFlightItem<P> {
    const item = { position, finished: false };
    this.#items.push(item);
    return item;
  }

  /** Finishing an item twice changes nothing. */
  finish(item: InFlightItem<P>): void {
    item.finished = true;
    let first = this.#items[this.#head];
    while (first?.finished === true) {
      this.#finishedPosition = first.position;
      this.#head += 1;
      first = this.#items[this.#head];
    }
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }
}

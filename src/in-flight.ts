/** One thing that is under way, with the position that comes after it. */
export interface InFlightItem<P> {
  position: P;
  finished: boolean;
  previous: InFlightItem<P> | null;
  next: InFlightItem<P> | null;
}

/**
 * What is under way, in order. `finishedPosition` moves only past the oldest unfinished item, so
 * saving it can repeat work after a crash (a phantom) but never skip it (a hole). Finished items
 * side by side are kept as one: memory is bounded by what is unfinished, however much of what came
 * later is done.
 */
export class InFlight<P> {
  #first: InFlightItem<P> | null = null;
  #last: InFlightItem<P> | null = null;
  #size = 0;
  #finishedPosition: P | null = null;

  /** How many items are unfinished, and how many runs of finished ones are behind an unfinished. */
  get size(): number {
    return this.#size;
  }

  /** The position up to which everything is finished; null before the first item is. */
  get finishedPosition(): P | null {
    return this.#finishedPosition;
  }

  /** `position` is where to go on once this item, and all before it, are finished. */
  add(position: P): InFlightItem<P> {
    const item = { position, finished: false, previous: this.#last, next: null };
    if (this.#last === null) this.#first = item;
    else this.#last.next = item;
    this.#last = item;
    this.#size += 1;
    return item;
  }

  /** Finishing an item twice changes nothing. */
  finish(item: InFlightItem<P>): void {
    if (item.finished) return;
    item.finished = true;
    const { previous, next } = item;
    if (previous?.finished === true) this.#remove(previous);
    if (next?.finished === true) this.#remove(item);
    if (this.#first?.finished !== true) return;
    this.#finishedPosition = this.#first.position;
    this.#remove(this.#first);
  }

  #remove(item: InFlightItem<P>): void {
    const { previous, next } = item;
    if (previous === null) this.#first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    // A tracker of long ago must not keep the whole list alive.
    item.previous = null;
    item.next = null;
    this.#size -= 1;
  }
}

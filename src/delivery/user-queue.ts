/**
 * The users to look at, in order of arrival, each at most once at a time. Those who have rested are
 * begun already: they go first, but leave a quarter of a turn to those who wait. A user who is busy is
 * queued again only when it is released; what came for it meanwhile is kept together, which is
 * what coalesces many messages into one delivery and keeps deliveries of one user apart.
 */
export class UserQueue<I extends { userId: string }> {
  readonly #users = new Map<string, Entry<I>>();
  readonly #onRested: () => void;
  /** In order of their return from a rest. */
  #rested: Entry<I>[] = [];
  #queue: Entry<I>[] = [];
  #head = 0;

  /** `onRested` is told when a user who rested is queued again. */
  constructor(onRested: () => void) {
    this.#onRested = onRested;
  }

  /** Users that could be taken now. */
  get queued(): number {
    return this.#rested.length + this.#waiting;
  }

  get #waiting(): number {
    return this.#queue.length - this.#head;
  }

  /** Users that are queued, busy or resting. */
  get users(): number {
    return this.#users.size;
  }

  add(item: I): void {
    let entry = this.#users.get(item.userId);
    if (entry === undefined) {
      entry = { userId: item.userId, items: [], state: 'idle', attempts: 0, timer: null };
      this.#users.set(item.userId, entry);
    }
    entry.items.push(item);
    if (entry.state === 'idle' || entry.state === 'resting') this.#enqueue(entry);
  }

  /** Whether something has come for a busy user since it was taken. */
  hasNews(userId: string): boolean {
    return (this.#users.get(userId)?.items.length ?? 0) > 0;
  }

  /** Takes up to `usersMax` users with all that came for them; they are busy until `release`. */
  take(usersMax: number): Taken<I>[] {
    const restedMax = Math.max(Math.ceil(usersMax * 0.75), usersMax - this.#waiting);
    const entries = this.#rested.splice(0, restedMax);
    while (entries.length < usersMax && this.#waiting > 0) {
      const entry = this.#queue[this.#head];
      this.#head += 1;
      if (entry !== undefined) entries.push(entry);
    }
    const taken: Taken<I>[] = [];
    for (const entry of entries) {
      if (entry.items.length === 0) {
        this.#users.delete(entry.userId);
        continue;
      }
      entry.state = 'busy';
      taken.push({ userId: entry.userId, items: entry.items, attempts: entry.attempts });
      entry.items = [];
    }
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  /** The user's work is over; it is queued again when more has come for it. */
  release(userId: string): void {
    const entry = this.#users.get(userId);
    if (entry === undefined) return;
    entry.attempts = 0;
    if (entry.items.length > 0) this.#enqueue(entry);
    else this.#users.delete(userId);
  }

  /** Gives items back, to be taken again after `delayMs`, or as soon as something new comes. */
  rest(userId: string, items: readonly I[], delayMs: number): void {
    const entry = this.#users.get(userId);
    if (entry === undefined) return;
    const isNews = entry.items.length > 0;
    entry.items = [...items, ...entry.items];
    entry.attempts += 1;
    if (isNews || delayMs <= 0) return this.#enqueue(entry, this.#rested);
    entry.state = 'resting';
    entry.timer = setTimeout(() => {
      this.#enqueue(entry, this.#rested);
      this.#onRested();
    }, delayMs);
  }

  /** Forgets all items. Busy users stay busy until they are released. */
  clear(): void {
    this.#rested = [];
    this.#queue = [];
    this.#head = 0;
    for (const entry of this.#users.values()) {
      if (entry.timer !== null) clearTimeout(entry.timer);
      entry.timer = null;
      entry.items = [];
      if (entry.state !== 'busy') this.#users.delete(entry.userId);
    }
  }

  #enqueue(entry: Entry<I>, line = this.#queue): void {
    if (entry.timer !== null) clearTimeout(entry.timer);
    entry.timer = null;
    entry.state = 'queued';
    line.push(entry);
  }
}

export interface Taken<I> {
  userId: string;
  items: I[];
  /** How often in a row the user was put to rest. */
  attempts: number;
}

interface Entry<I> {
  userId: string;
  items: I[];
  state: 'idle' | 'queued' | 'busy' | 'resting';
  attempts: number;
  timer: NodeJS.Timeout | null;
}

import type { Clock, Timer } from '../model/clock.ts';
import type { Trigger } from './trigger.ts';

/** More triggers of one user than this are looked at in turns: a look is bounded. */
const TRIGGERS_A_LOOK_MAX = 1_000;

/**
 * The users to look at, each at most once at a time. A user who is busy is queued again only when
 * it is released; what came for it meanwhile is kept together, which is what coalesces many messages
 * into one delivery and keeps deliveries of one user apart. There are three lines: users in order of
 * arrival; those who have rested, who are begun already and go first, but leave a quarter of a turn
 * to those who wait; and, behind both, those whose last try has failed. What comes for one
 * of these waits with it for its next try.
 */
export class UserQueue {
  readonly #users = new Map<string, Entry>();
  readonly #onRested: () => void;
  readonly #clock: Clock;
  readonly #rested = new Line();
  readonly #first = new Line();
  readonly #behind = new Line();

  /** `onRested` is told when a user who rested is queued again. */
  constructor(onRested: () => void, clock: Clock) {
    this.#onRested = onRested;
    this.#clock = clock;
  }

  /** Users that could be taken now, without those that failed. */
  get queued(): number {
    return this.#rested.length + this.#first.length;
  }

  /** Users that failed, and could be taken now. */
  get queuedBehind(): number {
    return this.#behind.length;
  }

  /** Users that are queued, busy or resting. */
  get users(): number {
    return this.#users.size;
  }

  add(trigger: Trigger): void {
    let entry = this.#users.get(trigger.userId);
    if (entry === undefined) {
      entry = {
        userId: trigger.userId,
        triggers: [],
        state: 'idle',
        attempts: 0,
        isBehind: false,
        timer: null,
      };
      this.#users.set(trigger.userId, entry);
    }
    entry.triggers.push(trigger);
    const waits = entry.state === 'resting' && !entry.isBehind;
    if (entry.state === 'idle' || waits) this.#enqueue(entry);
  }

  /** Whether something has come for a busy user since it was taken. */
  hasNews(userId: string): boolean {
    return (this.#users.get(userId)?.triggers.length ?? 0) > 0;
  }

  /** Takes up to `usersMax` users with what came for them; they are busy until `release`. */
  take(usersMax: number): TakenUser[] {
    const restedMax = Math.max(Math.ceil(usersMax * 0.75), usersMax - this.#first.length);
    const rested = this.#take(this.#rested, restedMax);
    return [...rested, ...this.#take(this.#first, usersMax - rested.length)];
  }

  /** The same of those whose last try failed. */
  takeBehind(usersMax: number): TakenUser[] {
    return this.#take(this.#behind, usersMax);
  }

  /** The user's work is over; it is queued again when more has come for it. */
  release(userId: string): void {
    const entry = this.#users.get(userId);
    if (entry === undefined) return;
    entry.attempts = 0;
    entry.isBehind = false;
    if (entry.triggers.length > 0) this.#enqueue(entry);
    else this.#users.delete(userId);
  }

  /** Gives triggers back, to be taken again after `delayMs`, or as soon as something new comes. */
  rest(userId: string, triggers: readonly Trigger[], delayMs: number): void {
    const entry = this.#users.get(userId);
    if (entry === undefined) return;
    const isNews = entry.triggers.length > 0 && !entry.isBehind;
    entry.triggers = [...triggers, ...entry.triggers];
    entry.attempts += 1;
    if (isNews || delayMs <= 0) return this.#enqueue(entry, this.#rested);
    entry.state = 'resting';
    entry.timer = this.#clock.timer(delayMs, () => {
      this.#enqueue(entry, this.#rested);
      this.#onRested();
    });
  }

  /** Gives the triggers of a failed try back: behind the others, and not before `delayMs`. */
  defer(userId: string, triggers: readonly Trigger[], delayMs: number): void {
    const entry = this.#users.get(userId);
    if (entry === undefined) return;
    entry.isBehind = true;
    this.rest(userId, triggers, delayMs);
    entry.attempts = 0;
  }

  /** Forgets all triggers. Busy users stay busy until they are released. */
  clear(): void {
    this.#rested.clear();
    this.#first.clear();
    this.#behind.clear();
    for (const entry of this.#users.values()) {
      entry.timer?.cancel();
      entry.timer = null;
      entry.triggers = [];
      if (entry.state !== 'busy') this.#users.delete(entry.userId);
    }
  }

  #take(line: Line, usersMax: number): TakenUser[] {
    const taken: TakenUser[] = [];
    while (taken.length < usersMax) {
      const entry = line.shift();
      if (entry === undefined) break;
      if (entry.triggers.length === 0) {
        this.#users.delete(entry.userId);
        continue;
      }
      entry.state = 'busy';
      const triggers = entry.triggers.slice(0, TRIGGERS_A_LOOK_MAX);
      const { userId, attempts, isBehind } = entry;
      taken.push({ userId, triggers, attempts, isBehind });
      entry.triggers = entry.triggers.slice(TRIGGERS_A_LOOK_MAX);
    }
    return taken;
  }

  #enqueue(entry: Entry, line = this.#first): void {
    entry.timer?.cancel();
    entry.timer = null;
    entry.state = 'queued';
    (entry.isBehind ? this.#behind : line).push(entry);
  }
}

export interface TakenUser {
  userId: string;
  triggers: Trigger[];
  /** How often in a row the user was put to rest. */
  attempts: number;
  /** Its last try failed. */
  isBehind: boolean;
}

interface Entry {
  userId: string;
  triggers: Trigger[];
  state: 'idle' | 'queued' | 'busy' | 'resting';
  attempts: number;
  /** Its last try failed. */
  isBehind: boolean;
  timer: Timer | null;
}

/** First in, first out; taking the first costs the same however long it is. */
class Line {
  #entries: Entry[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
  }

  shift(): Entry | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
  }
}

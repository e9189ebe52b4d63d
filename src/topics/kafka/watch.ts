import type { Wait } from '../port.ts';

/** As long as a consumer may get nothing of what others get. */
const PATIENCE_MS = 5_000;
/** A group's session: silent for longer, the group takes the member for gone. */
const SILENCE_MS = 10_000;
/** A consumer that joins waits for the other members: as long as a rebalance takes, and a little. */
const JOINING_MS = 20_000;
/** What a consumer asks again and again gets its answer so soon after others get theirs. */
const CATCHING_UP_MS = 4_000;
/** What didn't help soon is not done again soon. */
const PATIENCE_MS_MAX = 300_000;

interface Patience {
  /** With the wait itself. */
  patienceMs: number;
  /** From when the witness is answered on. */
  catchingUpMs: number;
  /** Both are twice as long after each consumer that didn't help. */
  inVain: number;
}

/** How far a partition was read, and how far it goes. */
export interface Reach {
  /** `topic/partition`. */
  key: string;
  next: number;
  end: number;
}

/**
 * Judges a consumer by what Kafka answers to somebody else: while a witness is answered, the consumer
 * must hear from its group, its commits must end, and its partitions must not stand still before
 * messages. Pure: it is told everything, the time (ms of one clock) too.
 */
export class Watch {
  #heardMs: number;
  #isJoining = true;
  #committingSinceMs: number | null = null;
  /** Waiting for the receiver is no fault of Kafka's: nothing is fetched meanwhile. */
  #handingSinceMs: number | null = null;
  #handed: string | null = null;
  readonly #fetching = new Map<number, number>();
  readonly #behind = new Map<string, { next: number; sinceMs: number }>();
  /** How often in a row another consumer got no answer from the group either. */
  #askedInVain = 0;
  /** How often in a row another consumer got no step ahead either. */
  #readInVain = 0;
  #awakeSinceMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: number) {
    this.#heardMs = nowMs;
  }

  /** This process got no time for a while: what it did not hear meanwhile proves nothing. */
  slept(nowMs: number): void {
    this.#awakeSinceMs = nowMs;
  }

  heard(nowMs: number): void {
    this.#heardMs = nowMs;
    if (!this.#isJoining) this.#askedInVain = 0;
  }

  joining(nowMs: number): void {
    if (!this.#isJoining) this.#heardMs = nowMs;
    this.#isJoining = true;
  }

  joined(nowMs: number): void {
    this.#isJoining = false;
    this.#heardMs = nowMs;
    this.#behind.clear();
    this.#fetching.clear();
  }

  committing(sinceMs: number | null): void {
    this.#committingSinceMs = sinceMs;
  }

  /** Which messages the receiver has not taken yet, and since when. */
  handing(key: string | null, nowMs: number): void {
    if (key === null) this.#behind.clear();
    this.#handed = key;
    this.#handingSinceMs = key === null ? null : nowMs;
  }

  fetching(node: number, sinceMs: number | null): void {
    if (sinceMs === null) this.#fetching.delete(node);
    else if (!this.#fetching.has(node)) this.#fetching.set(node, sinceMs);
  }

  /** Where the partitions of this consumer are now. A step ahead ends all doubt. */
  at(reaches: readonly Reach[], nowMs: number): void {
    for (const { key, next, end } of reaches) {
      const before = this.#behind.get(key);
      if (before !== undefined && next !== before.next) this.#readInVain = 0;
      if (end <= next) this.#behind.delete(key);
      else if (before?.next !== next) this.#behind.set(key, { next, sinceMs: nowMs });
    }
  }

  /** The consumer was replaced by a new one. */
  replaced(nowMs: number): void {
    this.#askedInVain += 1;
    this.#readInVain += 1;
    this.#isJoining = true;
    this.#heardMs = nowMs;
    this.#committingSinceMs = null;
    this.handing(null, nowMs);
    this.#fetching.clear();
  }

  /** Why the consumer is to be replaced, or null. `answeringSinceMs`: the witness' (null: it is not). */
  fault(answeringSinceMs: number | null, nowMs: number): string | null {
    if (answeringSinceMs === null) return null;
    const isOver = (sinceMs: number, { patienceMs, catchingUpMs, inVain }: Patience): boolean => {
      const longer = (ms: number): number => Math.min(PATIENCE_MS_MAX, ms * 2 ** inVain);
      return (
        nowMs - Math.max(sinceMs, this.#awakeSinceMs) >= longer(patienceMs) &&
        nowMs - answeringSinceMs >= longer(catchingUpMs)
      );
    };
    const asking = { catchingUpMs: CATCHING_UP_MS, inVain: this.#askedInVain };
    if (this.#isJoining) {
      const joining = { ...asking, patienceMs: JOINING_MS, catchingUpMs: JOINING_MS };
      return isOver(this.#heardMs, joining) ? 'the group could not be joined' : null;
    }
    if (isOver(this.#heardMs, { ...asking, patienceMs: SILENCE_MS })) {
      return 'the group gives no answer';
    }
    const committing = { ...asking, patienceMs: 2 * PATIENCE_MS };
    if (this.#committingSinceMs !== null && isOver(this.#committingSinceMs, committing)) {
      return 'a commit of offsets gets no answer';
    }
    if (this.#handed !== null) return null;
    const reading = {
      patienceMs: PATIENCE_MS,
      catchingUpMs: PATIENCE_MS,
      inVain: this.#readInVain,
    };
    for (const [key, { next, sinceMs }] of this.#behind) {
      if (isOver(sinceMs, reading)) return `nothing comes of ${key} from offset ${next} on`;
    }
    return null;
  }

  waits(nowMs: number): Wait[] {
    const waits: Wait[] = [];
    const add = (what: string, sinceMs: number | null): void => {
      if (sinceMs !== null) waits.push({ what, seconds: Math.floor((nowMs - sinceMs) / 1000) });
    };
    add(this.#isJoining ? 'joining the group' : 'an answer to a heartbeat', this.#heardMs);
    add('an answer to a commit of offsets', this.#committingSinceMs);
    add(`room for the messages of ${this.#handed}`, this.#handingSinceMs);
    for (const [node, sinceMs] of this.#fetching) add(`messages of broker ${node}`, sinceMs);
    return waits.filter(({ seconds }) => seconds >= 2);
  }
}

import type { Logger } from './logger.ts';
import { type OutageTimes, OutageTimer } from './outage-timer.ts';

/** What can be away, and what is said when it is back. */
const BACK = {
  capture: 'the binlog is read again',
  database: 'the database answers again',
  'dead letters': 'dead letters are kept again',
  iterable: 'Iterable accepts calls again',
  Kafka: 'Kafka answers again',
  'rate limit': 'Iterable no longer says that its rate limit is exceeded',
  resync: 'a look at everyone is asked for',
  'resume file': 'how far it is is saved again',
  'topics file': 'the topics file can be used again',
} as const;

export type OutagePart = keyof typeof BACK;
export type TopicsPart = Extract<OutagePart, 'Kafka' | 'topics file'>;

/** A link that breaks and is there again, or a leader that moves, takes less. */
const PASSING: OutageTimes = { graceMs: 1_000, settleMs: 0 };
const AT_ONCE: OutageTimes = { graceMs: 0, settleMs: 0 };
/** A server that starts answers now and then, until it is all there. */
const SLOW_TO_COME: OutageTimes = { graceMs: 1_000, settleMs: 3_000 };
/** Links to a server that restarts are found out one after the other. */
const SLOW_TO_NOTICE: OutageTimes = { graceMs: 0, settleMs: 2_000 };
/** By their nature they come and go. */
const AGAIN_AND_AGAIN: OutageTimes = { graceMs: 0, settleMs: 10_000 };

const TIMES: Readonly<Record<OutagePart, OutageTimes>> = {
  capture: AT_ONCE,
  database: SLOW_TO_NOTICE,
  'dead letters': PASSING,
  iterable: AT_ONCE,
  Kafka: SLOW_TO_COME,
  'rate limit': AGAIN_AND_AGAIN,
  resync: PASSING,
  'resume file': PASSING,
  'topics file': PASSING,
};

export interface Noticed {
  /** It says what somebody has to do: it is said at once. */
  isAdvice?: boolean;
  /** What is over sooner is not worth a word; as is usual for the part by default. */
  graceMs?: number;
}

interface Outage {
  timer: OutageTimer;
  /** Why, by who noticed it. */
  reasons: Map<string, string>;
  /** The last of them. */
  reason: string;
  /** What somebody has to do was said so. */
  advised: string | null;
  timeout: NodeJS.Timeout | null;
}

/**
 * The outages in the log: of each part one line at WARN when it begins, one a minute while it
 * lasts, and one at INFO when it ends, however many notice it, and however often. A part is back
 * when all who saw it away see it work. Never a stack: an outage is expected.
 */
export class Outages implements Disposable {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #outages = new Map<OutagePart, Outage>();
  #isOver = false;

  /** `now`: monotonic ms. */
  constructor(logger: Logger, now: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#now = now;
  }

  /**
   * What keeps the part from working as `by` sees it, a sentence; null: nothing.
   */
  set(part: OutagePart, by: string, reason: string | null, noticed: Noticed = {}): void {
    if (this.#isOver) return;
    const known = this.#outages.get(part);
    if (reason === null) {
      if (known?.reasons.delete(by) !== true || known.reasons.size > 0) return;
      known.timer.works(this.#now());
      return this.#say(part, known, false);
    }
    const outage = known ?? newOutage(part);
    this.#outages.set(part, outage);
    if (outage.reasons.get(by) !== reason) this.#logger.debug({ part, by }, reason);
    outage.reasons.set(by, reason);
    outage.reason = reason;
    outage.timer.failed(this.#now(), noticed.graceMs);
    const { isAdvice = false } = noticed;
    const isNews = isAdvice && reason !== outage.advised;
    if (isAdvice) outage.advised = reason;
    this.#say(part, outage, isNews);
  }

  /** Whether the part is away, or has not settled yet. */
  isAway(part: OutagePart): boolean {
    return (this.#outages.get(part)?.timer.dueMs ?? null) !== null;
  }

  /** Nothing more is said. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const { timeout } of this.#outages.values()) clearTimeout(timeout ?? undefined);
  }

  #say(part: OutagePart, outage: Outage, isNews: boolean): void {
    const nowMs = this.#now();
    const line = outage.timer.take(nowMs, isNews);
    if (line !== null) {
      const seconds = Math.round(line.forMs / 1000);
      if (line.kind === 'begun') this.#logger.warn({ part }, outage.reason);
      else if (line.kind === 'lasts')
        this.#logger.warn({ part, seconds }, `${outage.reason} (for ${seconds} s)`);
      else this.#logger.info({ part, seconds }, `${BACK[part]}, after ${seconds} s`);
    }
    if (outage.reasons.size === 0) outage.advised = null;
    clearTimeout(outage.timeout ?? undefined);
    outage.timeout = null;
    const { dueMs } = outage.timer;
    if (dueMs === null) return;
    outage.timeout = setTimeout(
      () => this.#say(part, outage, false),
      Math.max(1, Math.ceil(dueMs - nowMs)),
    );
    outage.timeout.unref();
  }
}

function newOutage(part: OutagePart): Outage {
  const timer = new OutageTimer(TIMES[part]);
  return { timer, reasons: new Map(), reason: '', advised: null, timeout: null };
}

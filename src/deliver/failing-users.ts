import { CALL_RETRIES, retryDelayMs } from '../retry-schedule.ts';

/** When a user whose calls keep failing, while those of others succeed, is set aside. */
export interface Patience {
  triesMin: number;
  /** Time from the first failure on, of which only that counts in which others got through. */
  failingMsMin: number;
}

export const PATIENCE: Patience = { triesMin: 10, failingMsMin: 5 * 60_000 };

/** Users set aside that are still known as such; the oldest is forgotten first. */
const SET_ASIDE_MAX = 10_000;

/** What the world was like when a try failed. */
export interface Circumstances {
  /** How long Iterable has been there in all, ms: does not count on while it is down. */
  thereMs: number;
  /** Deliveries of whomever that have succeeded so far. */
  succeeded: number;
  /** Iterable was asked beside the calls, and answered: as good as a success of another user. */
  isAnswered: boolean;
  random: number;
  retryAfterMs: number | null;
}

export type Setback =
  { kind: 'again'; delayMs: number } | { kind: 'set-aside'; tries: number; failingMs: number };

interface Record {
  tries: number;
  failingMs: number;
  lastThereMs: number;
  lastSucceeded: number;
}

/**
 * The users whose last try failed. They are tried again with backoff, and given up as `set-aside`
 * only when others got through between their tries: while nobody does, Iterable is down, and the
 * time is nobody's fault.
 */
export class FailingUsers {
  readonly #patience: Patience;
  readonly #records = new Map<string, Record>();
  readonly #setAside = new Set<string>();

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  /** Users that are tried again. */
  get size(): number {
    return this.#records.size;
  }

  /** Whether the user's last try failed, or it was set aside and has not got through since. */
  has(userId: string): boolean {
    return this.#records.has(userId) || this.#setAside.has(userId);
  }

  /** Whether nobody has got through since this user's last failure. */
  isAlone(userId: string, succeeded: number): boolean {
    return this.#records.get(userId)?.lastSucceeded === succeeded;
  }

  failed(userId: string, now: Circumstances): Setback {
    const before = this.#records.get(userId);
    const counts = before !== undefined && (now.isAnswered || now.succeeded > before.lastSucceeded);
    const record: Record = {
      tries: (before?.tries ?? 0) + 1,
      failingMs: (before?.failingMs ?? 0) + (counts ? now.thereMs - before.lastThereMs : 0),
      lastThereMs: now.thereMs,
      lastSucceeded: now.succeeded,
    };
    const { triesMin, failingMsMin } = this.#patience;
    if (counts && record.tries >= triesMin && record.failingMs >= failingMsMin) {
      this.#records.delete(userId);
      this.#keepSetAside(userId);
      return { kind: 'set-aside', tries: record.tries, failingMs: record.failingMs };
    }
    this.#records.set(userId, record);
    const { random, retryAfterMs } = now;
    return {
      kind: 'again',
      delayMs: retryDelayMs(CALL_RETRIES, record.tries, random, retryAfterMs),
    };
  }

  /** The user has got through, or there is nothing to send any more. */
  cleared(userId: string): void {
    this.#records.delete(userId);
    this.#setAside.delete(userId);
  }

  /** Forgets those that are tried again: their users may be with another instance now. */
  clear(): void {
    this.#records.clear();
  }

  #keepSetAside(userId: string): void {
    this.#setAside.add(userId);
    if (this.#setAside.size <= SET_ASIDE_MAX) return;
    const oldest = this.#setAside.values().next();
    if (!oldest.done) this.#setAside.delete(oldest.value);
  }
}

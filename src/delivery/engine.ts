import pLimit from 'p-limit';
import { type IsWanted, StoppedError } from '../iterable/calls.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';
import { type UserDelivery, isSent } from './deliver-user.ts';
import { type Look, type LookAnswer, type Visibility, judgeLook, lookAgainMs } from './looks.ts';
import type { SentMemory } from './sent-memory.ts';
import { type Taken, UserQueue } from './user-queue.ts';

/** What became of a reason to look: the four outcomes of `deliveries_total`. */
export type LookOutcome = 'sent' | 'superseded' | 'ineligible' | 'refused';

/** A reason to look at a user, and whom to tell what came of it. */
export interface WorkItem extends Look {
  /** Called once, when the item needs no more work. */
  finish(outcome: LookOutcome): void;
}

export interface EngineDeps {
  /** What the rule says of these users now, and what can be seen of the looks: of one server. */
  look: (userIds: readonly string[], looks: readonly Look[]) => Promise<LookAnswer>;
  /** Both calls; rejects with StoppedError when `isWanted` is false before a try of the first. */
  deliver: (user: EligibleUser, isWanted: IsWanted) => Promise<UserDelivery>;
  /** Users whose first call waits for the rate budget. */
  waitingForBudget: () => number;
  /** Users a second that the rate budget lets through; 0 while nothing may start. */
  budgetPerSecond: () => number;
  /** How often sending was held up so far, for all users together. */
  holdUps: () => number;
  memory: SentMemory;
  /**
   * Told of every delivery, before its items are finished; makes refusals durable. Where it rejects,
   * the items stay unfinished; with StoppedError that is no trouble.
   */
  onDelivery: (delivery: UserDelivery, newest: WorkItem) => Promise<void>;
  /** Told when the look after a delivery (`verifies`) found nothing to send any more. */
  onVerified?: (userId: string) => void;
  /** Told when a look fails (the database), and with null when one works again. */
  onTrouble: (error: unknown) => void;
  now: () => number;
  nowEpoch: () => number;
}

export interface EngineOptions {
  usersPerLookMax: number;
  looksMax: number;
  deliveriesMax: number;
  /** Items that are not finished; `room` waits while there are as many. */
  itemsMax: number;
  /** Look once more after sending, for a sender beside another one (backfill, replay). */
  verifies: boolean;
}

export const ENGINE_DEFAULTS: EngineOptions = {
  usersPerLookMax: 200,
  looksMax: 3,
  deliveriesMax: 1000,
  itemsMax: 20_000,
  verifies: false,
};

/** No more users than this, and than pass in this time, wait for the rate budget with an answer. */
const WAITING_MAX = 200;
const WAITING_SECONDS_MAX = 0.4;
/**
 * An answer that was held up for longer (an outage of Iterable, a call that failed) is not sent any
 * more when something has come for its user meanwhile: another look makes one delivery of both.
 * Waiting for the rate budget alone is no reason: who has many views would be put off for ever.
 */
const STALE_MS = 2_000;
const LOOK_RETRY_MS_MAX = 5_000;

/**
 * Delivery, level-triggered: an item says "look at this user again"; the engine asks the rule what
 * holds now and sends what differs from what was last sent. One user is never in two deliveries at
 * the same time, and whatever comes for a busy user is looked at when the user is free again.
 */
export class Engine {
  readonly #deps: EngineDeps;
  readonly #options: EngineOptions;
  readonly #queue = new UserQueue<WorkItem>(() => this.#schedule());
  readonly #limit;
  #generation = 0;
  #looks = 0;
  #deliveries = 0;
  #unfinished = 0;
  #failedLooks = 0;
  #pausedUntilMs = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | null = null;
  #waitingForRoom: (() => void)[] = [];
  #waitingForIdle: (() => void)[] = [];

  constructor(deps: EngineDeps, options: EngineOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#limit = pLimit(options.deliveriesMax);
  }

  /** Items that are not finished. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** Users with items that are not finished. */
  get usersUnfinished(): number {
    return this.#queue.users;
  }

  get deliveriesInFlight(): number {
    return this.#deliveries;
  }

  accept(items: readonly WorkItem[]): void {
    if (this.#stopped) return;
    this.#unfinished += items.length;
    for (const item of items) this.#queue.add(item);
    this.#schedule();
  }

  /** Resolves when there is room for more items: the back-pressure. */
  async room(): Promise<void> {
    while (this.#unfinished >= this.#options.itemsMax && !this.#stopped) {
      await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
    }
  }

  /** Resolves when every item is finished, or the engine has stopped. */
  async idle(): Promise<void> {
    while (this.#unfinished > 0 && !this.#stopped) {
      await new Promise<void>((resolve) => this.#waitingForIdle.push(resolve));
    }
  }

  /** Forgets all items unfinished; calls that have not started do not start. */
  reset(): void {
    this.#generation += 1;
    this.#unfinished = 0;
    this.#queue.clear();
    this.#wakeWaiters();
  }

  /** No new looks. Deliveries under way go on; `drained` says when they have ended. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#queue.clear();
    this.#wakeWaiters();
  }

  /** Resolves when no look and no delivery is under way (after `stop`). */
  async drained(): Promise<void> {
    while (this.#looks > 0 || this.#deliveries > 0) {
      await new Promise<void>((resolve) => this.#waitingForIdle.push(resolve));
    }
  }

  #schedule(): void {
    while (!this.#stopped && this.#queue.queued > 0) {
      const room = this.#roomForUsers();
      if (room === 0) return this.#scheduleLater();
      void this.#look(this.#queue.take(room), this.#generation);
    }
  }

  /** How many users to take now; 0 when it is better to wait and let more come together. */
  #roomForUsers(): number {
    const { usersPerLookMax, looksMax, deliveriesMax } = this.#options;
    if (this.#looks >= looksMax || this.#deps.now() < this.#pausedUntilMs) return 0;
    const waitingMax = this.#waitingMax();
    const free = Math.min(
      waitingMax - this.#deps.waitingForBudget(),
      deliveriesMax - this.#deliveries,
      usersPerLookMax,
    );
    const enough = Math.min(usersPerLookMax, waitingMax) / 4;
    return free >= Math.min(this.#queue.queued, enough) ? free : 0;
  }

  #waitingMax(): number {
    const perSecond = this.#deps.budgetPerSecond();
    if (perSecond === 0) return WAITING_MAX;
    return Math.min(Math.max(1, Math.round(perSecond * WAITING_SECONDS_MAX)), WAITING_MAX);
  }

  #scheduleLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#schedule();
    }, 5);
  }

  async #look(taken: readonly Taken<WorkItem>[], generation: number): Promise<void> {
    if (taken.length === 0) return;
    this.#looks += 1;
    try {
      const { visibility, rows } = await this.#deps.look(
        taken.map((user) => user.userId),
        taken.flatMap((user) => user.items),
      );
      const byUser = new Map(rows.map((row) => [row.userId, row]));
      if (this.#failedLooks > 0) this.#deps.onTrouble(null);
      this.#failedLooks = 0;
      for (const user of taken) {
        this.#decide(user, byUser.get(user.userId) ?? null, visibility, generation);
      }
    } catch (error) {
      this.#lookFailed(taken, generation, error);
    } finally {
      this.#looks -= 1;
      this.#schedule();
      if (this.#stopped) this.#wakeWaiters();
    }
  }

  #lookFailed(taken: readonly Taken<WorkItem>[], generation: number, error: unknown): void {
    this.#failedLooks += 1;
    const delayMs = Math.min(100 * 2 ** this.#failedLooks, LOOK_RETRY_MS_MAX);
    this.#pausedUntilMs = this.#deps.now() + delayMs;
    for (const user of taken) {
      if (generation === this.#generation) this.#queue.rest(user.userId, user.items, delayMs);
      else this.#queue.release(user.userId);
    }
    this.#deps.onTrouble(error);
  }

  #decide(
    user: Taken<WorkItem>,
    row: EligibleUser | null,
    visibility: Visibility,
    generation: number,
  ): void {
    if (generation !== this.#generation || this.#stopped) return this.#queue.release(user.userId);
    const chosen = row === null ? null : row.pageViewId;
    const now = this.#deps.now();
    const nowEpoch = this.#deps.nowEpoch();
    const early: WorkItem[] = [];
    const unsure: WorkItem[] = [];
    const seen: WorkItem[] = [];
    const piles = { early, unsure, seen };
    for (const item of user.items) {
      piles[judgeLook(item, chosen, visibility, now, nowEpoch)].push(item);
    }
    const again = (restingUnsure: readonly WorkItem[]): void => {
      const resting = [...early, ...restingUnsure];
      const isCurrent = generation === this.#generation && !this.#stopped;
      if (resting.length === 0 || !isCurrent) return this.#queue.release(user.userId);
      const kind = early.length > 0 ? 'early' : 'unsure';
      this.#queue.rest(user.userId, resting, lookAgainMs(kind, user.attempts + 1));
    };
    if (seen.length + unsure.length === 0) return again([]);
    if (row === null || this.#deps.memory.holds(row)) {
      this.#finish(seen, row === null ? 'ineligible' : 'superseded');
      return again(unsure);
    }
    this.#deliveries += 1;
    void this.#limit(() => this.#send(row, seen, unsure, generation)).then((resting) => {
      this.#deliveries -= 1;
      again(resting);
      this.#schedule();
      if (this.#stopped) this.#wakeWaiters();
    });
  }

  /** Returns the items that have to be looked at once more. Never rejects. */
  async #send(
    row: EligibleUser,
    seen: readonly WorkItem[],
    unsure: readonly WorkItem[],
    generation: number,
  ): Promise<readonly WorkItem[]> {
    const newest = seen.at(-1) ?? unsure.at(-1);
    if (newest === undefined) return [];
    const isCurrent = (): boolean => generation === this.#generation && !this.#stopped;
    const lookedMs = this.#deps.now();
    const holdUpsBefore = this.#deps.holdUps();
    const isStale = (attempt: number): boolean =>
      this.#deps.now() - lookedMs > STALE_MS &&
      (attempt > 1 || this.#deps.holdUps() !== holdUpsBefore) &&
      this.#queue.hasNews(row.userId);
    // Iterable may take a call whose answer we never get: then nobody knows what it has.
    this.#deps.memory.forget(row.userId);
    try {
      const delivery = await this.#deps.deliver(row, (attempt) => isCurrent() && !isStale(attempt));
      const sent = isSent(delivery);
      await this.#deps.onDelivery(delivery, newest);
      if (generation !== this.#generation) return [];
      // A refusal is remembered as well: it is for good, until something about the user changes.
      this.#deps.memory.remember(row);
      const verifies = delivery.update.kind === 'ok' && this.#options.verifies;
      for (const item of seen) {
        if (item !== newest) this.#finish([item], 'superseded');
        else if (!verifies) this.#finish([item], sent ? 'sent' : 'refused');
      }
      const again = verifies && seen.includes(newest) ? [...unsure, newest] : unsure;
      return again.map((item) =>
        item === newest && (sent || verifies)
          ? triedAlready(item, sent ? 'sent' : 'refused', this.#deps.onVerified)
          : item,
      );
    } catch (error) {
      // Given up: the items stay unfinished, so that a restart or the next owner sends them.
      if (!(error instanceof StoppedError)) this.#deps.onTrouble(error);
      return isCurrent() ? [...seen, ...unsure] : [];
    }
  }

  #finish(items: readonly WorkItem[], outcome: LookOutcome): void {
    for (const item of items) item.finish(outcome);
    this.#unfinished -= items.length;
    this.#wakeWaiters();
  }

  #wakeWaiters(): void {
    if (this.#unfinished < this.#options.itemsMax || this.#stopped) {
      for (const wake of this.#waitingForRoom.splice(0)) wake();
    }
    if (this.#unfinished === 0 || this.#stopped) {
      for (const wake of this.#waitingForIdle.splice(0)) wake();
    }
  }
}

/** The item once it has been tried: where the second look sends nothing, `outcome` remains. */
function triedAlready(
  item: WorkItem,
  outcome: 'sent' | 'refused',
  onVerified: EngineDeps['onVerified'],
): WorkItem {
  return {
    ...item,
    viewId: null,
    finish: (then) => {
      onVerified?.(item.userId);
      item.finish(then === 'sent' || then === 'refused' ? then : outcome);
    },
  };
}

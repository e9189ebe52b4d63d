import pLimit from 'p-limit';
import type { EligibleUser } from '../rule/eligible-user.ts';
import { AddressOrder } from './address-order.ts';
import { PATIENCE } from './failing-users.ts';
import { type Look, type Visibility, lookAgainMs } from './looks.ts';
import { Sending, type SendingDeps, type SendingOptions, type Sent } from './sending.ts';
import { type Taken, UserQueue } from './user-queue.ts';
import { type LookOutcome, type WorkItem, judgeItems } from './work.ts';

export type { LookOutcome, WorkItem } from './work.ts';

export interface EngineDeps extends SendingDeps {
  /** What the rule says of these users now. */
  eligibleAmong: (userIds: readonly string[]) => Promise<EligibleUser[]>;
  /** What other sessions can see, asked before the rule is. */
  visibility: (looks: readonly Look[]) => Promise<Visibility>;
  /** Users whose first call waits for the rate budget, without those whose last try failed. */
  waitingForBudget: () => number;
  /** Users a second that the rate budget lets through; 0 while nothing may start. */
  budgetPerSecond: () => number;
  /** Told when a look fails (the database), and with null when one works again. */
  onTrouble: (error: unknown) => void;
  nowEpoch: () => number;
}

export interface EngineOptions extends SendingOptions {
  usersPerLookMax: number;
  looksMax: number;
  deliveriesMax: number;
  /** Of those, how many may be of users whose last try failed: the others' places stay free. */
  retriesMax: number;
  /** Users with items unfinished, without those whose last try failed; `room` waits at as many. */
  usersMax: number;
  /** Users whose last try failed; the same. */
  failingUsersMax: number;
  /** Items unfinished, at some 400 bytes each; the same. */
  itemsMax: number;
}

export const ENGINE_DEFAULTS: EngineOptions = {
  usersPerLookMax: 200,
  looksMax: 3,
  deliveriesMax: 1000,
  retriesMax: 100,
  usersMax: 20_000,
  failingUsersMax: 20_000,
  itemsMax: 100_000,
  verifies: false,
  patience: PATIENCE,
};

/** No more users than this, and than pass in this time, wait for the rate budget with an answer. */
const WAITING_MAX = 200;
const WAITING_SECONDS_MAX = 0.4;
const LOOK_RETRY_MS_MAX = 5_000;

/** The moment of a look: what is known from it is as old as its beginning. */
interface Moment {
  generation: number;
  beganMs: number;
  visibility: Visibility;
}

/**
 * Delivery, level-triggered: an item says "look at this user again"; the engine asks the rule what
 * holds now and sends what differs from what was last sent. One user, and one e-mail address, is
 * never in two deliveries at the same time, and whatever comes for a busy user is looked at when the
 * user is free again. A user whose delivery failed is looked at again later, behind the first tries
 * of others.
 */
export class Engine {
  readonly #deps: EngineDeps;
  readonly #options: EngineOptions;
  readonly #queue = new UserQueue<WorkItem>(() => this.#schedule());
  readonly #sending: Sending;
  readonly #addresses = new AddressOrder();
  readonly #limit;
  #generation = 0;
  #looks = 0;
  #deliveries = 0;
  /** Users whose last try failed, from their look to the end of their delivery. */
  #retries = 0;
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
    this.#sending = new Sending(deps, options);
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

  /** Resolves when there is room for more users: the back-pressure. */
  async room(): Promise<void> {
    while (!this.#hasRoom() && !this.#stopped) {
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
    this.#sending.failing.clear();
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

  #hasRoom(): boolean {
    const { usersMax, failingUsersMax, itemsMax } = this.#options;
    const failing = this.#sending.failing.size;
    const isFull = this.#queue.users - failing >= usersMax || failing >= failingUsersMax;
    return !isFull && this.#unfinished < itemsMax;
  }

  #schedule(): void {
    while (!this.#stopped && this.#queue.queued + this.#queue.queuedBehind > 0) {
      const room = this.#roomForUsers();
      const behind = this.#roomBehind();
      if (this.#queue.queued > 0 && room > 0) {
        void this.#look(this.#queue.take(room), this.#generation);
      } else if (this.#queue.queuedBehind > 0 && behind > 0) {
        const users = this.#queue.takeBehind(behind);
        this.#retries += users.length;
        void this.#look(users, this.#generation);
      } else return this.#scheduleLater();
    }
  }

  get #isPaused(): boolean {
    return this.#looks >= this.#options.looksMax || this.#deps.now() < this.#pausedUntilMs;
  }

  /** How many users to take now; 0 when it is better to wait and let more come together. */
  #roomForUsers(): number {
    if (this.#isPaused) return 0;
    const { usersPerLookMax, deliveriesMax } = this.#options;
    const waitingMax = this.#waitingMax();
    const free = Math.min(
      waitingMax - this.#deps.waitingForBudget(),
      deliveriesMax - this.#deliveries,
      usersPerLookMax,
    );
    const enough = Math.min(usersPerLookMax, waitingMax, deliveriesMax) / 4;
    return free >= Math.min(this.#queue.queued, enough) ? free : 0;
  }

  /** The same for users whose last try failed. */
  #roomBehind(): number {
    if (this.#isPaused) return 0;
    const { usersPerLookMax, retriesMax } = this.#options;
    return Math.max(0, Math.min(retriesMax - this.#retries, usersPerLookMax));
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
    const beganMs = this.#deps.now();
    try {
      const visibility = await this.#deps.visibility(taken.flatMap((user) => user.items));
      const rows = await this.#deps.eligibleAmong(taken.map((user) => user.userId));
      const byUser = new Map(rows.map((row) => [row.userId, row]));
      if (this.#failedLooks > 0) this.#deps.onTrouble(null);
      this.#failedLooks = 0;
      const moment = { generation, beganMs, visibility };
      for (const user of taken) this.#decide(user, byUser.get(user.userId) ?? null, moment);
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
    for (const user of taken) this.#giveBack(user, generation, user.items, delayMs);
    this.#deps.onTrouble(error);
  }

  #decide(user: Taken<WorkItem>, row: EligibleUser | null, moment: Moment): void {
    const { generation, visibility } = moment;
    if (!this.#isCurrent(generation)) return this.#giveBack(user, generation, [], 0);
    const { now, nowEpoch, memory } = this.#deps;
    const chosen = row === null ? null : row.pageViewId;
    const judged = judgeItems(user.items, chosen, visibility, now(), nowEpoch());
    const { early, unsure, seen } = judged;
    const again = (unsureStill: readonly WorkItem[]): void => {
      const kind = early.length > 0 ? 'early' : 'unsure';
      const delayMs = lookAgainMs(kind, user.attempts + 1);
      this.#giveBack(user, generation, [...early, ...unsureStill], delayMs);
    };
    if (seen.length + unsure.length === 0) return again([]);
    if (row === null || memory.holds(row)) {
      this.#finish(seen, row === null ? 'ineligible' : 'superseded');
      this.#sending.failing.cleared(user.userId);
      return again(unsure);
    }
    if (!this.#addresses.begin(row, moment.beganMs)) {
      const delayMs = lookAgainMs('early', user.attempts + 1);
      return this.#giveBack(user, generation, user.items, delayMs);
    }
    this.#deliveries += 1;
    const errand = {
      row,
      seen,
      unsure,
      isCurrent: () => this.#isCurrent(generation),
      hasNews: () => this.#queue.hasNews(row.userId),
      finish: (items: readonly WorkItem[], outcome: LookOutcome) => this.#finish(items, outcome),
    };
    void this.#limit(() => this.#sending.send(errand)).then((sent: Sent) => {
      this.#deliveries -= 1;
      this.#addresses.end(row, now());
      if (sent.delayMs === null) again(sent.again);
      else this.#defer(user, generation, [...early, ...sent.again], sent.delayMs);
      this.#schedule();
      if (this.#stopped) this.#wakeWaiters();
    });
  }

  #isCurrent(generation: number): boolean {
    return generation === this.#generation && !this.#stopped;
  }

  /** The user is free again; these of its items are looked at once more after the delay. */
  #giveBack(
    user: Taken<WorkItem>,
    generation: number,
    items: readonly WorkItem[],
    delayMs: number,
  ): void {
    if (user.isBehind) this.#retries -= 1;
    if (items.length > 0 && this.#isCurrent(generation)) {
      return this.#queue.rest(user.userId, items, delayMs);
    }
    this.#queue.release(user.userId);
    this.#wakeWaiters();
  }

  #defer(
    user: Taken<WorkItem>,
    generation: number,
    items: readonly WorkItem[],
    delayMs: number,
  ): void {
    if (!this.#isCurrent(generation)) return this.#giveBack(user, generation, [], 0);
    if (user.isBehind) this.#retries -= 1;
    this.#queue.defer(user.userId, items, delayMs);
    this.#wakeWaiters();
  }

  #finish(items: readonly WorkItem[], outcome: LookOutcome): void {
    for (const item of items) item.finish(outcome);
    this.#unfinished -= items.length;
    this.#wakeWaiters();
  }

  #wakeWaiters(): void {
    if (this.#stopped || this.#hasRoom()) {
      for (const wake of this.#waitingForRoom.splice(0)) wake();
    }
    if (this.#unfinished === 0 || this.#stopped) {
      for (const wake of this.#waitingForIdle.splice(0)) wake();
    }
  }
}

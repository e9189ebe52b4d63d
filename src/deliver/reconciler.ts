import pLimit from 'p-limit';
import type { Timer } from '../model/clock.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';
import { AddressOrder } from './address-order.ts';
import { Conditions } from './conditions.ts';
import { LookTurns } from './look-turns.ts';
import { type Judged, type Visibility, judgeAll, lookAgainMs } from './looks.ts';
import {
  type Load,
  type ReconcilerDeps,
  type ReconcilerOptions,
  enoughForALook,
  placesBehind,
  placesForUsers,
} from './reconciler-options.ts';
import { type Errand, Sending } from './sending.ts';
import type { Trigger, TriggerOutcome } from './trigger.ts';
import { type TakenUser, UserQueue } from './user-queue.ts';

/** How soon it is seen that there is room again, where nothing tells. */
const SCHEDULE_MS = 5;

/** The moment of a look: what is known from it is as old as its beginning. */
interface Moment {
  generation: number;
  beganMs: number;
  visibility: Visibility;
}

/**
 * Delivery, level-triggered: a trigger says "look at this user again"; the reconciler asks the rule
 * what holds now and sends what differs from what was last sent. One user, and one e-mail address, is
 * never in two deliveries at the same time, and whatever comes for a busy user is looked at when the
 * user is free again. A user whose delivery failed is looked at again later, behind the first tries
 * of others.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #options: ReconcilerOptions;
  readonly #queue: UserQueue;
  readonly #sending: Sending;
  readonly #addresses = new AddressOrder();
  readonly #limit;
  readonly #turns: LookTurns;
  #generation = 0;
  #deliveries = 0;
  /** Users whose last try failed, from their look to the end of their delivery. */
  #retries = 0;
  #unfinished = 0;
  #stopped = false;
  #timer: Timer | null = null;
  readonly #conditions = new Conditions();

  constructor(deps: ReconcilerDeps, options: ReconcilerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#queue = new UserQueue(() => this.#schedule(), deps.clock);
    this.#sending = new Sending(deps, options);
    this.#limit = pLimit(options.deliveriesMax);
    this.#turns = new LookTurns(options.looksMax);
  }

  /** Triggers that are not finished. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** Users with triggers that are not finished. */
  get usersUnfinished(): number {
    return this.#queue.users;
  }

  get deliveriesInFlight(): number {
    return this.#deliveries;
  }

  accept(triggers: readonly Trigger[]): void {
    if (this.#stopped) return;
    this.#unfinished += triggers.length;
    for (const trigger of triggers) this.#queue.add(trigger);
    this.#schedule();
  }

  /** Resolves when there is room for more users: the back-pressure. */
  room(): Promise<void> {
    return this.#conditions.until(() => this.#hasRoom() || this.#stopped);
  }

  /** Resolves when every trigger is finished, or the reconciler has stopped. */
  idle(): Promise<void> {
    return this.#conditions.until(() => this.#unfinished === 0 || this.#stopped);
  }

  /** Forgets all triggers unfinished; calls that have not started do not start. */
  reset(): void {
    this.#generation += 1;
    this.#unfinished = 0;
    this.#queue.clear();
    this.#sending.failing.clear();
    this.#conditions.check();
  }

  /**
   * No new looks. Whoever was taken is sent still, unless a look is to follow (`verifies`); `drained`
   * says when that has ended. Of those who are left behind nobody came before one who was sent, so
   * hardly anything comes again.
   */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#queue.clear();
    this.#conditions.check();
  }

  /** Resolves when no look and no delivery is under way (after `stop`). */
  drained(): Promise<void> {
    return this.#conditions.until(() => this.#turns.underWay === 0 && this.#deliveries === 0);
  }

  #hasRoom(): boolean {
    const { usersMax, failingUsersMax, triggersMax } = this.#options;
    const failing = this.#sending.failing.size;
    const isFull = this.#queue.users - failing >= usersMax || failing >= failingUsersMax;
    return !isFull && this.#unfinished < triggersMax;
  }

  #schedule(): void {
    while (!this.#stopped && this.#queue.queued + this.#queue.queuedBehind > 0) {
      if (this.#turns.isPaused(this.#deps.clock.now())) return this.#scheduleLater();
      const load = this.#load();
      const room = placesForUsers(load, this.#options);
      const behind = placesBehind(load, this.#options);
      if (this.#queue.queued > 0 && room > 0) {
        const gatherMs = this.#gatherMs();
        if (gatherMs > 0) return this.#scheduleLater(gatherMs);
        void this.#look(this.#queue.take(room), this.#generation);
      } else if (this.#queue.queuedBehind > 0 && behind > 0) {
        const users = this.#queue.takeBehind(behind);
        this.#retries += users.length;
        void this.#look(users, this.#generation);
      } else return this.#scheduleLater();
    }
  }

  #load(): Load {
    const { waiting, perSecond } = this.#deps.sink.pace;
    return {
      queued: this.#queue.queued,
      waiting,
      perSecond,
      deliveries: this.#deliveries,
      retries: this.#retries,
    };
  }

  /** How long it is better to let more users come together; 0 where there are enough. */
  #gatherMs(): number {
    if (this.#queue.queued >= enoughForALook(this.#options)) return 0;
    return this.#turns.gatherMs(this.#deps.clock.now());
  }

  #scheduleLater(delayMs = SCHEDULE_MS): void {
    this.#timer ??= this.#deps.clock.timer(delayMs, () => {
      this.#timer = null;
      this.#schedule();
    });
  }

  async #look(taken: readonly TakenUser[], generation: number): Promise<void> {
    if (taken.length === 0) return;
    const beganMs = this.#deps.clock.now();
    this.#turns.begin(beganMs);
    try {
      const { visibility, rows } = await this.#deps.look(
        taken.map((user) => user.userId),
        taken.flatMap((user) => user.triggers),
      );
      if (this.#turns.answered(this.#deps.clock.now() - beganMs)) this.#deps.onTrouble(null);
      const byUser = new Map(rows.map((row) => [row.userId, row]));
      const moment = { generation, beganMs, visibility };
      for (const user of taken) this.#decide(user, byUser.get(user.userId) ?? null, moment);
    } catch (error) {
      this.#lookFailed(taken, generation, error);
    } finally {
      this.#turns.end();
      this.#schedule();
      this.#conditions.check();
    }
  }

  #lookFailed(taken: readonly TakenUser[], generation: number, error: unknown): void {
    const delayMs = this.#turns.failed(this.#deps.clock.now());
    for (const user of taken) this.#giveBack(user, generation, user.triggers, delayMs);
    this.#deps.onTrouble(error);
  }

  #decide(user: TakenUser, row: EligibleUser | null, moment: Moment): void {
    const { generation, visibility } = moment;
    if (generation !== this.#generation) return this.#giveBack(user, generation, [], 0);
    const { clock, memory } = this.#deps;
    const chosen = row === null ? null : row.pageViewId;
    const judged = judgeAll(user.triggers, chosen, visibility, clock.now(), clock.epochMs());
    const { unsure, seen } = judged;
    if (seen.length + unsure.length === 0) return this.#again(user, generation, judged, []);
    if (row === null || memory.holds(row)) {
      const outcome = row === null ? 'ineligible' : 'superseded';
      if (seen.length > 0) this.#deps.onPassedOver?.(user.userId, chosen, outcome, seen);
      this.#finish(seen, outcome);
      this.#sending.failing.cleared(user.userId);
      return this.#again(user, generation, judged, unsure);
    }
    if (!this.#addresses.begin(row, moment.beganMs)) {
      const delayMs = lookAgainMs('early', user.attempts + 1);
      return this.#giveBack(user, generation, user.triggers, delayMs);
    }
    void this.#send(user, row, judged, generation);
  }

  async #send(
    user: TakenUser,
    row: EligibleUser,
    judged: Judged,
    generation: number,
  ): Promise<void> {
    const { early, seen, unsure } = judged;
    const errand: Errand = {
      row,
      seen,
      unsure,
      isOurs: () => generation === this.#generation,
      isCurrent: () => this.#isCurrent(generation),
      hasNews: () => this.#queue.hasNews(row.userId),
      finish: (triggers, outcome) => this.#finish(triggers, outcome),
    };
    this.#deliveries += 1;
    const { again, delayMs } = await this.#limit(() => this.#sending.send(errand));
    this.#deliveries -= 1;
    this.#addresses.end(row, this.#deps.clock.now());
    if (delayMs === null) this.#again(user, generation, judged, again);
    else this.#defer(user, generation, [...early, ...again], delayMs);
    this.#schedule();
    this.#conditions.check();
  }

  /** What is early, and what nobody can be sure of, is looked at once more soon. */
  #again(user: TakenUser, generation: number, { early }: Judged, unsure: readonly Trigger[]): void {
    const delayMs = lookAgainMs(early.length > 0 ? 'early' : 'unsure', user.attempts + 1);
    this.#giveBack(user, generation, [...early, ...unsure], delayMs);
  }

  #isCurrent(generation: number): boolean {
    return generation === this.#generation && !this.#stopped;
  }

  /** The user is free again; these of its triggers are looked at once more after the delay. */
  #giveBack(
    user: TakenUser,
    generation: number,
    triggers: readonly Trigger[],
    delayMs: number,
  ): void {
    if (user.isBehind) this.#retries -= 1;
    if (triggers.length > 0 && this.#isCurrent(generation)) {
      return this.#queue.rest(user.userId, triggers, delayMs);
    }
    this.#queue.release(user.userId);
    this.#conditions.check();
  }

  #defer(user: TakenUser, generation: number, triggers: readonly Trigger[], delayMs: number): void {
    if (!this.#isCurrent(generation)) return this.#giveBack(user, generation, [], 0);
    if (user.isBehind) this.#retries -= 1;
    this.#queue.defer(user.userId, triggers, delayMs);
    this.#conditions.check();
  }

  #finish(triggers: readonly Trigger[], outcome: TriggerOutcome): void {
    for (const trigger of triggers) trigger.finish(outcome);
    this.#unfinished -= triggers.length;
    this.#conditions.check();
  }
}

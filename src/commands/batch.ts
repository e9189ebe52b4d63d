import type { Database } from '../database/open.ts';
import { deadLetterOf, keepDeadLetters } from '../deliver/dead-letter.ts';
import { DeliveryLines } from '../deliver/delivery-lines.ts';
import { RECONCILER_DEFAULTS } from '../deliver/reconciler-options.ts';
import { Reconciler } from '../deliver/reconciler.ts';
import type { Patience } from '../deliver/failing-users.ts';
import { watchedLetters } from '../deliver/watched-letters.ts';
import { SentMemory } from '../deliver/sent-memory.ts';
import { type Delivery, StoppedError } from '../deliver/sink.ts';
import { lookAt } from '../deliver/visibility.ts';
import { systemClock } from '../model/clock.ts';
import type { Rule } from '../rule/rule.ts';
import { IterableSink } from '../sinks/iterable/sink.ts';
import type { DeadLetter, DeadLetterStore } from '../topics/port.ts';
import { BatchRecord } from './batch-record.ts';
import type { CommandContext } from './context.ts';
import { GIVE_UP_MS, GivingUp } from './giving-up.ts';
import { STOPPED_EXIT_CODE } from './shutdown.ts';
import { type Totals, summaryFields, summaryText } from './totals.ts';

const MEMORY_USERS_MAX = 10_000;
/** On the clock of performance.now(). */
const PROCESS_BEGAN_MS = 0;
const FLUSH_EVERY_MS = 1_000;
/** Enough work ahead of the rate limiter, and a small distance between reading and sending. */
const USERS_MAX = 1_000;

export interface BatchOptions {
  rule: Rule;
  session: Database['session'];
  /** Part of Iterable's limits to use, 0 to 1. */
  share: number;
  deadLetters: Pick<DeadLetterStore, 'add'>;
  /** For order: one look at a time keeps users in the order they were accepted. */
  looksMax: number;
  /** Users in hand. Default USERS_MAX. */
  usersMax?: number;
  /** When a user whose calls keep failing is set aside. */
  patience?: Patience;
  /** Default GIVE_UP_MS. */
  giveUpMs?: number;
}

/**
 * Sending work that has an end (backfill, replay, retry): the reconciler, a look once more after each
 * delivery because a live stream may run beside it, totals, the results file, and giving up.
 */
export class Batch implements AsyncDisposable {
  readonly reconciler: Reconciler;
  readonly sink: IterableSink;
  readonly rule: Rule;
  readonly memory = new SentMemory(MEMORY_USERS_MAX);
  readonly #context: CommandContext;
  readonly #record: BatchRecord;
  readonly #givingUp: GivingUp;
  readonly #flushes: NodeJS.Timeout;
  readonly #giveUpMs: number;
  readonly #lines: DeliveryLines;
  readonly #letters: Pick<DeadLetterStore, 'add'>;
  #isEnding = false;
  #beside: Promise<unknown> = Promise.resolve();

  constructor(context: CommandContext, options: BatchOptions) {
    const { settings, logger, outages } = context;
    this.#context = context;
    this.#lines = new DeliveryLines(logger);
    this.#giveUpMs = options.giveUpMs ?? GIVE_UP_MS;
    this.#record = new BatchRecord(settings.resultsDir);
    this.#givingUp = new GivingUp({
      giveUpMs: this.#giveUpMs,
      iterable: settings.iterable,
      sink: () => this.sink,
    });
    this.#letters = watchedLetters(
      options.deadLetters,
      (reason) => outages.set('dead letters', 'store', reason),
      systemClock,
    );
    this.rule = options.rule;
    this.sink = new IterableSink({
      settings: settings.iterable,
      outages,
      connectionsMax: RECONCILER_DEFAULTS.deliveriesMax,
      clock: systemClock,
      onTroubleChange: (trouble) => this.#givingUp.sinkTrouble(trouble),
    });
    // Others that have ended by then have sent nothing since this process began.
    this.sink.setShare(options.share, PROCESS_BEGAN_MS);
    this.reconciler = new Reconciler(
      {
        look: (ids, triggers) =>
          options.session((session) => lookAt(this.rule, session, ids, triggers)),
        sink: this.sink,
        memory: this.memory,
        onFailed: (failed, newest) => this.#lines.failed(failed, newest),
        onPassedOver: (userId, ...look) => {
          // The look after a delivery, which has its line.
          if (!this.#record.isUnverified(userId)) this.#lines.passedOver(userId, ...look);
        },
        onDelivery: (delivery, newest) => {
          this.#lines.delivered(delivery, newest);
          return this.#delivered(delivery);
        },
        onVerified: (userId) => this.#record.verified(userId),
        onTrouble: (error) => this.#databaseTrouble(error),
        clock: systemClock,
      },
      {
        ...RECONCILER_DEFAULTS,
        looksMax: options.looksMax,
        usersMax: options.usersMax ?? USERS_MAX,
        patience: options.patience ?? RECONCILER_DEFAULTS.patience,
        verifies: true,
        asksWhetherThere: true,
      },
    );
    this.#flushes = setInterval(() => this.#flush(), FLUSH_EVERY_MS);
  }

  /** Users with all calls behind them, whether they were looked at once more or not. */
  get usersDone(): number {
    return this.totals.processed + this.usersUnverified;
  }

  /** Of those, users who are still to be looked at once more. */
  get usersUnverified(): number {
    return this.#record.unverified;
  }

  get totals(): Totals {
    return this.#record.totals;
  }

  /** Rejects with UnavailableError when there is no use in waiting any longer. */
  get fatal(): Promise<never> {
    return this.#givingUp.fatal;
  }

  /** True from `end` on: what has not begun does not begin. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Counts this among the deliveries that `end` lets end. */
  sendBeside(work: Promise<void>): Promise<void> {
    const ended = work.catch(() => undefined);
    this.#beside = Promise.all([this.#beside, ended]);
    return work;
  }

  /**
   * Takes deliveries into the totals, the results file and, those that were refused, all together
   * into the dead letters: a commit for each would hold up the calls.
   * @throws StoppedError when it ends before the dead letters are durable; the refused are then not
   * in the totals.
   */
  async record(deliveries: readonly Delivery[]): Promise<void> {
    for (const delivery of deliveries) this.#lines.delivered(delivery);
    let counted = deliveries;
    try {
      await this.#keepRefusals(deliveries);
    } catch (error) {
      counted = deliveries.filter((delivery) => deadLetterOf(delivery, 0) === null);
      throw error;
    } finally {
      for (const delivery of counted) this.#record.count(delivery);
    }
  }

  /** Keeps dead letters. @throws StoppedError when it ends before they are durable. */
  async keep(letters: readonly DeadLetter[]): Promise<void> {
    const { signal } = this.#context;
    const patience = AbortSignal.any([signal, AbortSignal.timeout(this.#giveUpMs)]);
    try {
      await keepDeadLetters(this.#letters, letters, patience, systemClock);
    } catch (error) {
      if (!signal.aborted) this.#givingUp.letterNotKept(error as Error);
      throw new StoppedError();
    }
  }

  /**
   * 0, 1 when something was refused, or 130 when it was stopped with more to send.
   * @throws UnavailableError when it has given up, also if only its results could not be written.
   */
  exitCode(finished: boolean): number {
    if (this.#givingUp.error !== null) throw this.#givingUp.error;
    if (!finished) return STOPPED_EXIT_CODE;
    return this.totals.partial + this.totals.failed > 0 ? 1 : 0;
  }

  /** Stops once the deliveries that are out have ended, and says the summary (null: does not). */
  async end(notAttempted: ((processed: number) => number | string) | null): Promise<void> {
    this.#isEnding = true;
    this.reconciler.stop();
    await this.sink.stop(async () => {
      await Promise.all([this.reconciler.drained(), this.#beside]);
    });
    this.#record.verifyAll();
    this.#flush();
    if (notAttempted === null) return;
    const summary = this.#record.summary(notAttempted);
    this.#context.say(summaryText(summary), summaryFields(summary));
    this.#context.logger.debug(summaryFields(summary), 'summary');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#flushes);
    this.#givingUp[Symbol.dispose]();
    this.reconciler.stop();
    await this.sink[Symbol.asyncDispose]();
    this.#flush();
    this.#record[Symbol.dispose]();
  }

  async #keepRefusals(deliveries: readonly Delivery[]): Promise<void> {
    const letters = deliveries.flatMap((delivery) => deadLetterOf(delivery, Date.now()) ?? []);
    if (letters.length === 0) return;
    await this.keep(letters);
    for (const { userId, id, reason } of letters) {
      this.#context.logger.warn({ user_id: userId, id }, reason);
    }
  }

  async #delivered(delivery: Delivery): Promise<void> {
    await this.#keepRefusals([delivery]);
    this.#record.sent(delivery);
  }

  /** Never throws. */
  #flush(): void {
    try {
      this.#record.flush();
    } catch (error) {
      this.#givingUp.resultsNotWritten(error as Error, this.#record.pending);
    }
  }

  #databaseTrouble(error: unknown): void {
    const message = error === null ? null : (error as Error).message;
    this.#context.outages.set('database', 'rule', message);
    this.#givingUp.databaseTrouble(message);
  }
}

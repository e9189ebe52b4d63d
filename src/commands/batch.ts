import type { Database } from '../database/open.ts';
import { deadLetterOf, keepDeadLetters } from '../deliver/dead-letter.ts';
import { isKnownToSink } from '../deliver/delivery.ts';
import { DeliveryLines } from '../deliver/delivery-lines.ts';
import { RECONCILER_DEFAULTS, Reconciler } from '../deliver/reconciler.ts';
import type { Patience } from '../deliver/failing-users.ts';
import { watchedLetters } from '../deliver/watched-letters.ts';
import { SentMemory } from '../deliver/sent-memory.ts';
import { type Delivery, type SinkTrouble, StoppedError } from '../deliver/sink.ts';
import { lookAt } from '../deliver/visibility.ts';
import { UnavailableError } from '../errors.ts';
import type { Rule } from '../rule/rule.ts';
import { IterableSink } from '../sinks/iterable/sink.ts';
import type { DeadLetter, DeadLetterStore } from '../topics/port.ts';
import type { CommandContext } from './context.ts';
import { ResultsFile } from './results-file.ts';
import { STOPPED_EXIT_CODE } from './shutdown.ts';
import { NO_TOTALS, type Totals, summaryFields, summaryText, withDelivery } from './totals.ts';

/** How long work with an end waits for a service that does not answer, before it exits 3. */
export const GIVE_UP_MS = 60_000;
const AGAIN = 'nothing is lost, run the command again (backfill: with --resume) when';
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
  readonly #results: ResultsFile;
  readonly #fatal = Promise.withResolvers<never>();
  readonly #flushes: NodeJS.Timeout;
  #databaseDownSinceMs: number | null = null;
  #troubleTimer: NodeJS.Timeout | null = null;
  readonly #giveUpMs: number;
  readonly #lines: DeliveryLines;
  readonly #letters: Pick<DeadLetterStore, 'add'>;
  #totals: Totals = NO_TOTALS;
  /** Sent, and still to be looked at once more: a user that is sent again counts once. */
  readonly #unverified = new Map<string, Delivery>();
  #isEnding = false;
  #gaveUp: UnavailableError | null = null;
  #beside: Promise<unknown> = Promise.resolve();

  constructor(context: CommandContext, options: BatchOptions) {
    const { settings, logger, outages } = context;
    this.#context = context;
    this.#lines = new DeliveryLines(logger);
    this.#giveUpMs = options.giveUpMs ?? GIVE_UP_MS;
    this.#results = new ResultsFile(settings.resultsDir);
    this.#fatal.promise.catch(() => undefined);
    this.#letters = watchedLetters(options.deadLetters, (reason) =>
      outages.set('dead letters', 'store', reason),
    );
    this.rule = options.rule;
    this.sink = new IterableSink({
      settings: settings.iterable,
      outages,
      connectionsMax: RECONCILER_DEFAULTS.deliveriesMax,
      onTroubleChange: (trouble) => this.#troubleChanged(trouble),
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
          if (!this.#unverified.has(userId)) this.#lines.passedOver(userId, ...look);
        },
        onDelivery: (delivery, newest) => {
          this.#lines.delivered(delivery, newest);
          return this.#delivered(delivery);
        },
        onVerified: (userId) => this.#verified(userId),
        onTrouble: (error) => this.#databaseTrouble(error),
        now: () => performance.now(),
        nowEpoch: () => Date.now(),
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
    return this.#totals.processed + this.#unverified.size;
  }

  /** Of those, users who are still to be looked at once more. */
  get usersUnverified(): number {
    return this.#unverified.size;
  }

  get totals(): Totals {
    return this.#totals;
  }

  /** Rejects with UnavailableError when there is no use in waiting any longer. */
  get fatal(): Promise<never> {
    return this.#fatal.promise;
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
      for (const delivery of counted) this.#count(delivery);
    }
  }

  /** Keeps dead letters. @throws StoppedError when it ends before they are durable. */
  async keep(letters: readonly DeadLetter[]): Promise<void> {
    const { signal } = this.#context;
    const patience = AbortSignal.any([signal, AbortSignal.timeout(this.#giveUpMs)]);
    try {
      await keepDeadLetters(this.#letters, letters, patience);
    } catch (error) {
      if (!signal.aborted) {
        this.#giveUp(
          `a dead letter could not be kept for ${this.#giveUpMs / 1000} s (${(error as Error).message}); ${AGAIN} it can be`,
        );
      }
      throw new StoppedError();
    }
  }

  /**
   * 0, 1 when something was refused, or 130 when it was stopped with more to send.
   * @throws UnavailableError when it has given up, also if only its results could not be written.
   */
  exitCode(finished: boolean): number {
    if (this.#gaveUp !== null) throw this.#gaveUp;
    if (!finished) return STOPPED_EXIT_CODE;
    return this.#totals.partial + this.#totals.failed > 0 ? 1 : 0;
  }

  /** Stops once the deliveries that are out have ended, and says the summary (null: does not). */
  async end(notAttempted: ((processed: number) => number | string) | null): Promise<void> {
    this.#isEnding = true;
    this.reconciler.stop();
    await this.sink.stop(async () => {
      await Promise.all([this.reconciler.drained(), this.#beside]);
    });
    for (const userId of this.#unverified.keys()) this.#verified(userId);
    this.#flush();
    if (notAttempted === null) return;
    const totals = this.#totals;
    const left = notAttempted(totals.processed);
    const summary = { totals, notAttempted: left, file: this.#results.path };
    this.#context.say(summaryText(summary), summaryFields(summary));
    this.#context.logger.debug(summaryFields(summary), 'summary');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#flushes);
    if (this.#troubleTimer !== null) clearTimeout(this.#troubleTimer);
    this.reconciler.stop();
    await this.sink[Symbol.asyncDispose]();
    this.#flush();
    this.#results[Symbol.dispose]();
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
    this.#unverified.delete(delivery.user.userId);
    // A profile that was refused is not looked at once more.
    if (isKnownToSink(delivery)) this.#unverified.set(delivery.user.userId, delivery);
    else this.#count(delivery);
  }

  #verified(userId: string): void {
    const delivery = this.#unverified.get(userId);
    if (delivery === undefined) return;
    this.#unverified.delete(userId);
    this.#count(delivery);
  }

  #count(delivery: Delivery): void {
    this.#totals = withDelivery(this.#totals, delivery);
    this.#results.add(delivery);
  }

  /** Never throws: without its record, nobody would know what was sent, so the work ends. */
  #flush(): void {
    try {
      this.#results.flush(this.#totals);
    } catch (error) {
      this.#giveUp(
        `${(error as Error).message} (${this.#results.pending} records are not in the file); ${AGAIN} it can be`,
      );
    }
  }

  #troubleChanged(trouble: SinkTrouble | null): void {
    const url = this.#context.settings.iterable.baseUrl;
    if (trouble?.reason === 'key-refused') {
      return this.#giveUp(
        `Iterable at ${url} refuses the API key (${trouble.detail}); set ITERABLE_API_KEY to a server-side key of the project, and ITERABLE_API_BASE_URL to its data center`,
      );
    }
    if (trouble !== null) return this.#watchTrouble(this.#giveUpMs);
    if (this.#troubleTimer !== null) clearTimeout(this.#troubleTimer);
    this.#troubleTimer = null;
  }

  /** Gives up after this time, but not before the time that Iterable has asked for is over. */
  #watchTrouble(ms: number): void {
    this.#troubleTimer ??= setTimeout(() => {
      this.#troubleTimer = null;
      const { settings } = this.#context;
      const { askedToWaitMs, trouble } = this.sink;
      if (askedToWaitMs > 0) {
        return this.#watchTrouble(askedToWaitMs + settings.iterable.timeoutMs);
      }
      const detail = trouble?.detail ?? '';
      this.#giveUp(
        `Iterable at ${settings.iterable.baseUrl} has not accepted a call for ${this.#giveUpMs / 1000} s (${detail}); ${AGAIN} it is back`,
      );
    }, ms);
  }

  #databaseTrouble(error: unknown): void {
    const now = performance.now();
    const message = error === null ? null : (error as Error).message;
    this.#context.outages.set('database', 'rule', message);
    if (error === null) return void (this.#databaseDownSinceMs = null);
    this.#databaseDownSinceMs ??= now;
    if (now - this.#databaseDownSinceMs < this.#giveUpMs) return;
    this.#giveUp(`the database has not answered for ${this.#giveUpMs / 1000} s: ${message}`);
  }

  #giveUp(message: string): void {
    this.#gaveUp ??= new UnavailableError(message);
    this.#fatal.reject(this.#gaveUp);
  }
}

/** Waits for `work`, but ends early (false) when `signal` aborts. Rejects as `fatal` does. */
export async function untilStopped(
  work: Promise<void>,
  fatal: Promise<never>,
  signal: AbortSignal,
): Promise<boolean> {
  const timer = new AbortController();
  const stopped = new Promise<false>((resolve) => {
    if (signal.aborted) resolve(false);
    signal.addEventListener('abort', () => resolve(false), { once: true, signal: timer.signal });
  });
  try {
    return await Promise.race([work.then(() => true), fatal, stopped]);
  } finally {
    timer.abort();
  }
}

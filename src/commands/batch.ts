import { deadLetterOf, keepDeadLetters } from '../delivery/dead-letter.ts';
import { type UserDelivery, deliverUser } from '../delivery/deliver-user.ts';
import { ENGINE_DEFAULTS, Engine } from '../delivery/engine.ts';
import { Sender } from '../delivery/sender.ts';
import { SentMemory } from '../delivery/sent-memory.ts';
import { readVisibility } from '../delivery/visibility.ts';
import { UnavailableError } from '../errors.ts';
import type { GateState } from '../iterable/call-gate.ts';
import { createMetrics } from '../observe/metrics.ts';
import { type Query, Rule } from '../rule/rule.ts';
import type { DeadLetterStore } from '../topics/port.ts';
import type { CommandContext } from './context.ts';
import { ResultsFile } from './results-file.ts';
import { NO_TOTALS, type Totals, summaryLines, withDelivery } from './totals.ts';

/** How long work with an end waits for a service that does not answer, before it exits 3. */
export const GIVE_UP_MS = 60_000;
const MEMORY_USERS_MAX = 10_000;
const FLUSH_EVERY_MS = 1_000;
/** Enough work ahead of the rate budget, and a small distance between reading and sending. */
const ITEMS_MAX = 1_000;

export interface BatchOptions {
  query: Query;
  /** Part of Iterable's limits to use, 0 to 1. */
  share: number;
  /** Opened at the first refusal. */
  deadLetters: () => Promise<DeadLetterStore>;
  /** For order: one look at a time keeps users in the order they were accepted. */
  looksMax: number;
  itemsMax?: number;
}

/**
 * Sending work that has an end (backfill, replay, retry): the engine, a look once more after each
 * delivery because a live stream may run beside it, totals, the results file, and giving up.
 */
export class Batch implements AsyncDisposable {
  readonly engine: Engine;
  readonly sender: Sender;
  readonly rule: Rule;
  readonly memory = new SentMemory(MEMORY_USERS_MAX);
  readonly #context: CommandContext;
  readonly #options: BatchOptions;
  readonly #results: ResultsFile;
  readonly #fatal = Promise.withResolvers<never>();
  readonly #flushes: NodeJS.Timeout;
  #databaseDownSinceMs: number | null = null;
  #gateTimer: NodeJS.Timeout | null = null;
  #totals: Totals = NO_TOTALS;

  constructor(context: CommandContext, options: BatchOptions) {
    const { settings, logger } = context;
    this.#context = context;
    this.#options = options;
    this.#results = new ResultsFile(settings.resultsDir);
    this.#fatal.promise.catch(() => undefined);
    this.rule = new Rule(options.query, settings.rule);
    this.sender = new Sender({
      settings: settings.iterable,
      metrics: createMetrics(),
      logger,
      connectionsMax: 512,
      onGateChange: (state) => this.#gateChanged(state),
    });
    this.sender.setShare(options.share);
    this.engine = new Engine(
      {
        eligibleAmong: (ids) => this.rule.among(ids),
        visibility: (looks) => readVisibility(this.rule, options.query, looks),
        deliver: (user, isWanted) => deliverUser(this.sender.calls, user, isWanted),
        waitingForBudget: () => this.sender.budgets['/api/users/update'].waiting,
        memory: this.memory,
        onDelivery: (delivery) => this.record(delivery),
        onTrouble: (error) => this.#databaseTrouble(error),
        now: () => performance.now(),
        nowEpoch: () => Date.now(),
      },
      {
        ...ENGINE_DEFAULTS,
        looksMax: options.looksMax,
        itemsMax: options.itemsMax ?? ITEMS_MAX,
        verifies: true,
      },
    );
    this.#flushes = setInterval(() => this.#results.flush(this.#totals), FLUSH_EVERY_MS);
  }

  get totals(): Totals {
    return this.#totals;
  }

  /** Rejects with UnavailableError when there is no use in waiting any longer. */
  get fatal(): Promise<never> {
    return this.#fatal.promise;
  }

  /** Takes a delivery into the totals, the results file and, when refused, the dead letters. */
  async record(delivery: UserDelivery): Promise<void> {
    this.#totals = withDelivery(this.#totals, delivery);
    this.#results.add(delivery, this.#totals);
    const letter = deadLetterOf(delivery, Date.now());
    if (letter === null) return;
    const { logger, signal } = this.#context;
    logger.warn({ userId: letter.userId, id: letter.id }, letter.reason);
    try {
      await keepDeadLetters(await this.#options.deadLetters(), [letter], logger, signal);
    } catch (error) {
      logger.warn(
        { err: error },
        'the refusal is in the results file, but not in the dead letters',
      );
    }
  }

  /** 0, or 1 when something was refused. */
  get exitCode(): number {
    return this.#totals.partial + this.#totals.failed > 0 ? 1 : 0;
  }

  /** Stops, says the summary and leaves the results file whole. */
  async end(notAttempted: (processed: number) => number): Promise<void> {
    this.engine.stop();
    await this.sender.stop(() => this.engine.drained());
    this.#results.flush(this.#totals);
    const left = notAttempted(this.#totals.processed);
    for (const line of summaryLines(this.#totals, left, this.#results.path)) {
      this.#context.print(line);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#flushes);
    if (this.#gateTimer !== null) clearTimeout(this.#gateTimer);
    this.engine.stop();
    await this.sender[Symbol.asyncDispose]();
    this.#results.flush(this.#totals);
    this.#results[Symbol.dispose]();
  }

  #gateChanged(state: GateState): void {
    if (this.#gateTimer !== null) clearTimeout(this.#gateTimer);
    this.#gateTimer = null;
    const url = this.#context.settings.iterable.baseUrl;
    if (state.reason === 'key-refused') {
      return this.#giveUp(
        `Iterable at ${url} refuses the API key (${state.detail}); set ITERABLE_API_KEY to a server-side key of the project, and ITERABLE_API_BASE_URL to its data center`,
      );
    }
    if (state.reason === null) return;
    this.#gateTimer = setTimeout(() => {
      const { detail } = this.sender.gate.state;
      this.#giveUp(
        `Iterable at ${url} has not accepted a call for ${GIVE_UP_MS / 1000} s (${detail}); nothing is lost, run the command again (backfill: with --resume) when it is back`,
      );
    }, GIVE_UP_MS);
  }

  #databaseTrouble(error: unknown): void {
    const now = performance.now();
    if (error === null) {
      this.#databaseDownSinceMs = null;
      return this.#context.logger.info('the database answers again');
    }
    this.#databaseDownSinceMs ??= now;
    this.#context.logger.warn({ err: error }, 'the rule can not be asked; trying again');
    if (now - this.#databaseDownSinceMs < GIVE_UP_MS) return;
    this.#giveUp(
      `the database has not answered for ${GIVE_UP_MS / 1000} s: ${(error as Error).message}`,
    );
  }

  #giveUp(message: string): void {
    this.#fatal.reject(new UnavailableError(message));
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

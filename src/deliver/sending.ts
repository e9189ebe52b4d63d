import type { Clock } from '../model/clock.ts';
import type { EligibleUser } from '../rule/eligible-user.ts';
import { isKnownToSink, isSent, setAside } from './delivery.ts';
import { FailingUsers, type Patience } from './failing-users.ts';
import type { SentMemory } from './sent-memory.ts';
import {
  type Delivery,
  type FailedDelivery,
  type IsWanted,
  type Sink,
  StoppedError,
} from './sink.ts';
import { type Trigger, type TriggerOutcome, settled, triedAlready } from './trigger.ts';

/**
 * An answer that was held up for longer (an outage of Iterable, a call that failed) is not sent any
 * more when something has come for its user meanwhile: another look makes one delivery of both.
 * Waiting for the rate limiter alone is no reason: who has many views would be put off for ever.
 */
const STALE_MS = 2_000;

export interface SendingDeps {
  sink: Pick<Sink, 'deliver' | 'pace' | 'isThere'>;
  memory: SentMemory;
  /**
   * Told of every delivery, before its triggers are finished; makes refusals durable. Where it
   * rejects, the triggers stay unfinished; with StoppedError that is no trouble.
   */
  onDelivery: (delivery: Delivery, newest: Trigger) => Promise<void>;
  /** Told of every try in which a call failed. */
  onFailed?: (failed: FailedDelivery, newest: Trigger) => void;
  /** Told when the look after a delivery (`verifies`) found nothing to send any more. */
  onVerified?: (userId: string) => void;
  onTrouble: (error: unknown) => void;
  clock: Clock;
}

export interface SendingOptions {
  /** Look once more after sending, for a sender beside another one (backfill, replay). */
  verifies: boolean;
  /** When a user that keeps failing is set aside. */
  patience: Patience;
  /**
   * For work that has an end: at the end those that keep failing are alone, and nobody else's
   * success tells whether the sink is there, so it is asked.
   */
  asksWhetherThere: boolean;
}

/** A user's triggers as they were judged, and the answer of the rule that is to be sent. */
export interface Errand {
  row: EligibleUser;
  seen: readonly Trigger[];
  unsure: readonly Trigger[];
  /** False once the triggers are not ours any more: then no call begins, and nothing is finished. */
  isOurs: () => boolean;
  /** False then, and once the reconciler has stopped. */
  isCurrent: () => boolean;
  /** Whether something has come for the user since. */
  hasNews: () => boolean;
  finish: (triggers: readonly Trigger[], outcome: TriggerOutcome) => void;
}

/** Which triggers have to be looked at once more; after a failed try not before `delayMs`. */
export interface Sent {
  again: readonly Trigger[];
  delayMs: number | null;
}

/** Sends what the rule says of one user, and decides what that does to the user's triggers. */
export class Sending {
  readonly #deps: SendingDeps;
  readonly #options: SendingOptions;
  readonly failing: FailingUsers;
  #succeeded = 0;

  constructor(deps: SendingDeps, options: SendingOptions) {
    this.#deps = deps;
    this.#options = options;
    this.failing = new FailingUsers(options.patience);
  }

  /** Never rejects. */
  async send(errand: Errand): Promise<Sent> {
    const { row, seen, unsure, isOurs } = errand;
    const newest = seen.at(-1) ?? unsure.at(-1);
    if (newest === undefined) return { again: [], delayMs: null };
    const wanted = this.#wantedFor(errand);
    // Iterable may take a call whose answer we never get: then nobody knows what it has.
    this.#deps.memory.forget(row.userId);
    try {
      const { sink } = this.#deps;
      const tried = await sink.deliver(row, wanted, this.failing.has(row.userId));
      if ('failure' in tried) this.#deps.onFailed?.(tried, newest);
      const delivery = 'failure' in tried ? await this.#afterFailure(tried) : tried;
      if (typeof delivery === 'number') {
        return { again: [...seen.map(settled), ...unsure], delayMs: delivery };
      }
      await this.#deps.onDelivery(delivery, newest);
      if (isSent(delivery)) this.#succeeded += 1;
      if (!('failure' in tried)) this.failing.cleared(row.userId);
      if (!isOurs()) return { again: [], delayMs: null };
      // A refusal is remembered as well: it is for good, until something about the user changes.
      this.#deps.memory.remember(row);
      return { again: this.#finish(errand, delivery, newest), delayMs: null };
    } catch (error) {
      // Given up: the triggers stay unfinished, so that a restart or the next owner sends them.
      if (!(error instanceof StoppedError)) this.#deps.onTrouble(error);
      return { again: isOurs() ? [...seen, ...unsure] : [], delayMs: null };
    }
  }

  #wantedFor({ isOurs, isCurrent, hasNews }: Errand): IsWanted {
    const { clock, sink } = this.#deps;
    const lookedMs = clock.now();
    const holdUpsBefore = sink.pace.holdUps;
    const isStale = (attempt: number): boolean =>
      clock.now() - lookedMs > STALE_MS &&
      (attempt > 1 || sink.pace.holdUps !== holdUpsBefore) &&
      hasNews();
    // A stop leaves out the look after a delivery: what began then would not be finished by it.
    const mayBegin = this.#options.verifies ? isCurrent : isOurs;
    return (attempt) => mayBegin() && !isStale(attempt);
  }

  /** In how many ms the user is tried again, or what it came to where it is set aside. */
  async #afterFailure(failed: FailedDelivery): Promise<Delivery | number> {
    const { sink } = this.#deps;
    const { userId } = failed.user;
    const asks = this.#options.asksWhetherThere && this.failing.isAlone(userId, this.#succeeded);
    const setback = this.failing.failed(userId, {
      isAnswered: asks && (await sink.isThere()),
      thereMs: sink.pace.thereMs,
      succeeded: this.#succeeded,
      random: Math.random(),
      retryAfterMs: failed.failure.retryAfterMs,
    });
    if (setback.kind === 'again') return setback.delayMs;
    return setAside(failed, setback.tries, setback.failingMs);
  }

  /** Finishes what the delivery covers; returns what has to be looked at once more. */
  #finish(
    { seen, unsure, finish }: Errand,
    delivery: Delivery,
    newest: Trigger,
  ): readonly Trigger[] {
    const outcome = isSent(delivery) ? 'sent' : 'refused';
    const verifies = isKnownToSink(delivery) && this.#options.verifies;
    for (const trigger of seen) {
      if (trigger !== newest) finish([trigger], 'superseded');
      else if (!verifies) finish([trigger], outcome);
    }
    const again = verifies && seen.includes(newest) ? [...unsure, newest] : unsure;
    return again.map((trigger) =>
      trigger === newest && (outcome === 'sent' || verifies)
        ? triedAlready(trigger, outcome, this.#deps.onVerified)
        : trigger,
    );
  }
}

import type { Clock } from '../model/clock.ts';
import type { ChangeEncoder } from '../source/port.ts';
import type { UserChangeCause } from '../topics/messages.ts';
import type { OutgoingBatch, Publisher } from '../topics/port.ts';
import type { PendingResync } from './checkpoint.ts';

/** A transaction can be in the log this long, at most, before other sessions see its rows. */
const COMMIT_GAP_MS = 1_000;
const RETRY_MS = 2_000;
/** What keeps coming does not put a look off for longer. */
const SETTLING_MS_MAX = 5_000;
/** Between two looks, and so many times as long as the last one took: a tenth of the time at most. */
const PAUSE_MS_MIN = 5_000;
const PAUSE_FACTOR = 10;

/** Everyone whom the rule finds now, page by page. */
export type EligibleUserIds = () => AsyncIterable<readonly (number | string)[]>;

export interface LookOptions {
  eligibleUserIds: EligibleUserIds;
  encoder: Pick<ChangeEncoder, 'looks'>;
  /** Publishes the messages that `fill` pushes; they are durable when it resolves. */
  publish: (fill: (to: OutgoingBatch) => void) => Promise<void>;
  clock: Clock;
  signal: AbortSignal;
}

/** `publish` for whoever has no queue. */
export function publishingTo(publisher: Publisher, signal: AbortSignal): LookOptions['publish'] {
  return (fill) => {
    const messages = publisher.batch();
    fill(messages);
    return publisher.publish(messages, undefined, signal);
  };
}

/** Asks for a look at every eligible user; how many there were when `signal` came or all had. */
export async function askEveryone(
  { eligibleUserIds, encoder, publish, clock, signal }: LookOptions,
  cause: UserChangeCause,
): Promise<number> {
  let users = 0;
  for await (const ids of eligibleUserIds()) {
    if (signal.aborted) break;
    const nowMs = clock.epochMs();
    await publish((to) => encoder.looks(ids, cause, nowMs, to));
    users += ids.length;
  }
  return users;
}

export interface ResyncOptions extends LookOptions {
  /** Reads anew, before each look, what the source must know of the tables; it may reject. */
  refresh: () => Promise<void>;
  /** Nothing is pending any more: to be saved. */
  onSettled: () => void;
  /** A look failed; it is tried again. */
  onError: (error: unknown) => void;
}

/**
 * The look at everyone that is owed after something that can't be told row by row, whatever it was.
 * `pending` is saved with every checkpoint until all eligible users are asked for: whoever goes on
 * from there asks again. However often it is requested, the looks come one after the other, with
 * pauses.
 */
export class Resync {
  readonly #options: ResyncOptions;
  #pending: PendingResync | null = null;
  #requests = 0;
  #done = 0;
  #isRunning = false;
  #waiting: PromiseWithResolvers<void> | null = null;
  /** The clock's `now()` before which no other look begins. */
  #pauseEndMs = Number.NEGATIVE_INFINITY;

  constructor(options: ResyncOptions) {
    this.#options = options;
  }

  get pending(): PendingResync | null {
    return this.#pending;
  }

  /** Asks for a look at everyone, beside the stream and after what is being committed is visible. */
  request(because: string): void {
    this.#pending = this.#pending?.isAnew === true ? this.#pending : { because, isAnew: false };
    this.#requests += 1;
    if (!this.#isRunning) void this.#run();
  }

  /** The same, by whoever goes on: changes are missing after the position, so that this one ends. */
  requestAnew(because: string): void {
    this.#pending = { because, isAnew: true };
  }

  /** Resolves when no look is owed; none is ever made of a `requestAnew` here. */
  settled(): Promise<void> {
    if (this.#pending === null) return Promise.resolve();
    return (this.#waiting ??= Promise.withResolvers<void>()).promise;
  }

  /** Never rejects, and asks for nobody once `signal` has aborted. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    const { onError, clock, signal, refresh } = this.#options;
    while (this.#done < this.#requests && !signal.aborted) {
      try {
        const requests = await this.#quiet();
        const startMs = clock.now();
        await refresh();
        await askEveryone(this.#options, 'ddl');
        if (signal.aborted) break;
        this.#done = requests;
        const endMs = clock.now();
        this.#pauseEndMs = endMs + Math.max(PAUSE_MS_MIN, (endMs - startMs) * PAUSE_FACTOR);
        if (this.#requests === requests) this.#settle();
      } catch (error) {
        if (signal.aborted) break;
        onError(error);
        await clock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
    this.#isRunning = false;
  }

  #settle(): void {
    if (this.#pending?.isAnew === true) return;
    this.#pending = null;
    this.#options.onSettled();
    this.#waiting?.resolve();
    this.#waiting = null;
  }

  /**
   * How often was asked for what is visible now. It waits until nothing came for a moment, since
   * migrations come in rows, and for the end of the pause.
   */
  async #quiet(): Promise<number> {
    const { clock, signal } = this.#options;
    const latestMs = Math.max(clock.now() + SETTLING_MS_MAX, this.#pauseEndMs);
    for (;;) {
      const requests = this.#requests;
      await clock.sleep(COMMIT_GAP_MS, signal);
      const nowMs = clock.now();
      if (nowMs < this.#pauseEndMs) continue;
      if (requests === this.#requests || nowMs >= latestMs) return requests;
    }
  }
}

import type { EligibleUser } from '../rule/eligible-user.ts';

/**
 * Where users are sent, as the rest of delivery sees it. What is sent of a user takes one call or
 * several, known by name and outcome alone. `sinks/iterable/` implements it.
 */
export interface Sink extends AsyncDisposable {
  /**
   * Makes the user's calls, one after the other, each once: the next one begins when the last has
   * ended for good. Ends early at a call that fails, and leaves another try to whoever called.
   * Rejects with StoppedError alone: when `isWanted` is false before a try of the first call, or
   * when the sink stops. `isRetry`: the user's last delivery failed, so it goes behind the first
   * tries of others, and says nothing about all of them.
   */
  deliver(
    user: EligibleUser,
    isWanted: IsWanted,
    isRetry: boolean,
  ): Promise<Delivery | FailedDelivery>;
  readonly pace: SinkPace;
  /** What keeps calls from being made; null: nothing. */
  readonly trouble: SinkTrouble | null;
  /** Asks the sink itself, beside all calls, whether it is there and takes calls. Never rejects. */
  isThere(): Promise<boolean>;
  /** This instance's part of the sink's limits that counts now, 0 to 1; 0: nothing is sent. */
  readonly share: number;
  /**
   * A smaller share counts at once. A larger one counts as soon as no window of the limit can hold
   * what others have sent under it: they have sent nothing since `freeSinceMs` (monotonic; default:
   * now).
   */
  setShare(share: number, freeSinceMs?: number): void;
  /**
   * Gives what is out, and what has to follow it, a few seconds to end, as `drained` says; then
   * gives up what still waits.
   */
  stop(drained: () => Promise<void>): Promise<void>;
}

/** How fast users get through: read at every decision, and never kept. */
export interface SinkPace {
  /** Users whose first call waits for its turn, without those whose last delivery failed. */
  readonly waiting: number;
  /** Users a second that may begin; 0 while none may. */
  readonly perSecond: number;
  readonly callsInFlight: number;
  /** How often all calls were held up, and go on again. */
  readonly holdUps: number;
  /** How long, in ms, the sink has taken calls in all: stands still while it is down. */
  readonly thereMs: number;
}

export interface SinkTrouble {
  reason: 'down' | 'slow-down' | 'key-refused';
  /** One line for people, e.g. `HTTP 503: …`. */
  detail: string;
}

/** Many users in few calls, for work that has an end. */
export interface BulkSink {
  /** The same users in the same order, in pages for one call of each kind. */
  pages(source: AsyncIterable<readonly EligibleUser[]>): AsyncIterable<readonly EligibleUser[]>;
  /**
   * Makes the calls of these users. `onFirstCall` is told when the first kind is through.
   * @throws StoppedError when `isWanted` is false before the first call; what has begun is brought
   * to its end.
   */
  deliver(
    users: readonly EligibleUser[],
    isWanted: () => boolean,
    onFirstCall: () => void,
  ): Promise<BulkDelivery>;
}

export interface BulkDelivery {
  deliveries: Delivery[];
  /** Users whose call fails also when they are alone in it. */
  failing: ReadonlySet<string>;
}

/** Asked before each try of a call, and while it waits for its turn; attempts count from 1. */
export type IsWanted = (attempt: number) => boolean;

/** What became of all calls for one user, in their order: each has ended for good. */
export interface Delivery {
  user: EligibleUser;
  calls: readonly Call[];
}

/** A delivery in which a call failed: all of its calls are due again. */
export interface FailedDelivery {
  user: EligibleUser;
  /** Those that had ended before. */
  calls: readonly Call[];
  /** The name of the one that failed. */
  failedCall: string;
  failure: Failure;
  /** The names of those that would have followed. */
  notTried: readonly string[];
}

export interface Call {
  /** Such as `users/update`: in dead letters, results and logs. */
  name: string;
  outcome: Outcome;
}

/** How a call ended for good: the sink took it, or never will. */
export type Outcome = Accepted | Refused;

export interface Accepted extends Took {
  kind: 'ok';
  /** HTTP. */
  status: number;
  /** The sink's answer. */
  body: unknown;
}

/** Never to be sent again as it is: a dead letter. */
export interface Refused extends Took {
  kind: 'refused';
  /** HTTP; 0 where there was no call. */
  status: number;
  code: string | null;
  message: string;
  body: unknown;
}

/** A try that the sink has not decided: worth another one, not before `retryAfterMs` if it says so. */
export interface Failure extends Took {
  kind: 'failed';
  /** null where there was no answer. */
  status: number | null;
  message: string;
  retryAfterMs: number | null;
}

interface Took {
  /** How long the last try was out, in ms; left out where there was none. */
  ms?: number;
}

/** The program stops, so the call was given up; whether the sink saw it is unknown. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
  constructor() {
    super('stopped');
  }
}

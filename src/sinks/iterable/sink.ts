import type {
  Call,
  Delivery,
  FailedDelivery,
  IsWanted,
  Sink,
  SinkPace,
  SinkTrouble,
} from '../../deliver/sink.ts';
import type { Clock } from '../../model/clock.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { Outages } from '../../observe/outages.ts';
import type { EligibleUser } from '../../rule/eligible-user.ts';
import type { IterableSettings } from '../../settings/types.ts';
import { within } from '../../within.ts';
import { IterableBulk } from './bulk.ts';
import type { Caller } from './caller.ts';
import { IterableCalls } from './calls.ts';
import { CircuitBreaker, PROBES } from './circuit-breaker.ts';
import { type Endpoint, IterableHttp } from './http.ts';
import { KeyQuestion } from './key-question.ts';
import { REFUSED_UNSENT, USER_CALLS, hasUsableEmail } from './payloads.ts';
import { RateLimiter } from './rate-limiter.ts';

/** Iterable's documented limits of the bulk endpoints, calls a second. */
const BULK_UPDATE_PER_SECOND = 5;
const TRACK_BULK_PER_SECOND = 10;
/** A clean stop leaves this much time to calls that are out, and to the second of a pair. */
const STOP_GRACE_MS = 6_000;
const STOP_CUT_MS = 500;

/** What opens the circuit breaker, and what comes of it. */
const AWAY: Readonly<Record<SinkTrouble['reason'], (detail: string) => string>> = {
  down: (detail) =>
    `Iterable does not answer as it should (${detail}); sending waits and tries again. If Iterable is not down, check ITERABLE_API_BASE_URL`,
  'key-refused': (detail) =>
    `Iterable refuses the API key (${detail}): nothing is sent until it accepts it; check ITERABLE_API_KEY (a server-side key) and ITERABLE_API_BASE_URL (US or EU)`,
  'slow-down': (detail) =>
    `Iterable says that its rate limit is exceeded (${detail}); sending pauses`,
};

export interface IterableSinkOptions {
  settings: IterableSettings;
  /** Left out where nobody asks for them. */
  metrics?: Metrics;
  outages: Outages;
  connectionsMax: number;
  clock: Clock;
  onTroubleChange?: (trouble: SinkTrouble | null) => void;
  /** Whether this instance may still send (see GroupMember.isCurrent). Default: always. */
  mayStart?: () => boolean;
}

/** Iterable: `users/update` and, when it has ended either way, `events/track` for each user. */
export class IterableSink implements Sink {
  readonly breaker: CircuitBreaker;
  readonly bulk: IterableBulk;
  readonly pace: SinkPace;
  readonly #clock: Clock;
  readonly #http: IterableHttp;
  readonly #key: KeyQuestion;
  readonly #calls: IterableCalls;
  readonly #limiters: Readonly<Record<Endpoint, RateLimiter>>;

  constructor(options: IterableSinkOptions) {
    const { settings, metrics, outages, clock, connectionsMax } = options;
    this.#clock = clock;
    const mayStart = options.mayStart ?? (() => true);
    const limiter = (limitPerSecond: number): RateLimiter =>
      new RateLimiter({ limitPerSecond, clock, mayStart });
    this.#http = new IterableHttp({ ...settings, connectionsMax, clock });
    this.#key = new KeyQuestion(() => this.#http.checkKey(), clock);
    this.breaker = new CircuitBreaker({
      clock,
      random: Math.random,
      onChange: (trouble) => {
        noteTrouble(outages, trouble);
        options.onTroubleChange?.(trouble);
      },
    });
    this.#limiters = {
      '/api/users/update': limiter(settings.usersUpdatePerSecond),
      '/api/events/track': limiter(settings.eventsTrackPerSecond),
      '/api/users/bulkUpdate': limiter(BULK_UPDATE_PER_SECOND),
      '/api/events/trackBulk': limiter(TRACK_BULK_PER_SECOND),
    };
    this.#calls = new IterableCalls({
      http: this.#http,
      breaker: this.breaker,
      key: this.#key,
      limiters: this.#limiters,
      clock,
      random: Math.random,
      onAnswer: (endpoint, status) => {
        metrics?.iterableRequests.inc({ endpoint: shortName(endpoint), status });
      },
      onRetry: (endpoint, reason) => {
        metrics?.retries.inc({ endpoint: shortName(endpoint), reason });
      },
    });
    this.bulk = new IterableBulk(this.#calls, clock);
    this.pace = paceOf(this.#limiters['/api/users/update'], this.breaker, this.#calls);
  }

  /** A user without a usable e-mail address is refused without a call. */
  async deliver(
    user: EligibleUser,
    isWanted: IsWanted,
    isRetry: boolean,
  ): Promise<Delivery | FailedDelivery> {
    if (!hasUsableEmail(user)) return { user, calls: REFUSED_UNSENT };
    const caller: Caller = { id: user.userId, isRetry };
    const calls: Call[] = [];
    for (const { name, endpoint, payload } of USER_CALLS) {
      // What has begun is brought to its end.
      const asked = calls.length === 0 ? isWanted : undefined;
      const outcome = await this.#calls.call(endpoint, payload(user), caller, asked);
      if (outcome.kind === 'failed') {
        const notTried = USER_CALLS.slice(calls.length + 1).map((left) => left.name);
        return { user, calls, failedCall: name, failure: outcome, notTried };
      }
      calls.push({ name, outcome });
    }
    return { user, calls };
  }

  get trouble(): SinkTrouble | null {
    return this.breaker.trouble;
  }

  /** For how long, in ms, it still waits because Iterable asked for it by Retry-After; else 0. */
  get askedToWaitMs(): number {
    const { probesInMs } = this.breaker;
    return probesInMs > PROBES.maxMs ? probesInMs : 0;
  }

  async isThere(): Promise<boolean> {
    return (await this.#key.ask()) === 'accepted';
  }

  get share(): number {
    return this.#limiters['/api/users/update'].share;
  }

  /** See RateLimiter.setShare. */
  setShare(share: number, freeSinceMs?: number): void {
    for (const limiter of Object.values(this.#limiters)) limiter.setShare(share, freeSinceMs);
  }

  /**
   * `drained` is awaited up to STOP_GRACE_MS, then what still waits is given up. Iterable being
   * away, waiting has no point, and it is given up at once. A 429 is over soon, and what it holds up
   * would keep back the offsets of all that was sent after.
   */
  async stop(drained: () => Promise<void>): Promise<void> {
    if (this.trouble !== null && this.trouble.reason !== 'slow-down') this.#calls.stop();
    const done = drained();
    await within(done, STOP_GRACE_MS, this.#clock);
    this.#calls.stop();
    await within(done, STOP_CUT_MS, this.#clock);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#calls.stop();
    await this.#http[Symbol.asyncDispose]();
  }
}

function paceOf(limiter: RateLimiter, breaker: CircuitBreaker, calls: IterableCalls): SinkPace {
  return {
    get waiting() {
      return limiter.waiting;
    },
    get perSecond() {
      return limiter.perSecond;
    },
    get callsInFlight() {
      return calls.inFlight;
    },
    get holdUps() {
      return breaker.holdUps;
    },
    get thereMs() {
      return breaker.closedMs;
    },
  };
}

function shortName(endpoint: Endpoint): string {
  return endpoint.slice('/api/'.length);
}

function noteTrouble(outages: Outages, trouble: SinkTrouble | null): void {
  const sentence = trouble === null ? null : AWAY[trouble.reason](trouble.detail);
  const isSlow = trouble?.reason === 'slow-down';
  outages.set('iterable', 'breaker', isSlow ? null : sentence, {
    isAdvice: trouble?.reason === 'key-refused',
  });
  outages.set('rate limit', 'breaker', isSlow ? sentence : null);
}

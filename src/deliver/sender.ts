import { setTimeout as sleep } from 'node:timers/promises';
import { CircuitBreaker, type BreakerState } from '../sinks/iterable/circuit-breaker.ts';
import { IterableCalls } from '../sinks/iterable/calls.ts';
import { type Endpoint, IterableHttp } from '../sinks/iterable/http.ts';
import { KeyQuestion } from '../sinks/iterable/key-question.ts';
import { RateLimiter } from '../sinks/iterable/rate-limiter.ts';
import type { Outages } from '../observe/outages.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { IterableSettings } from '../settings/types.ts';
import type { ReconcilerDeps } from './reconciler.ts';

/** Iterable's documented limits of the bulk endpoints, calls a second. */
const BULK_UPDATE_PER_SECOND = 5;
const TRACK_BULK_PER_SECOND = 10;
/** A clean stop leaves this much time to calls that are out, and to the second of a pair. */
const STOP_GRACE_MS = 6_000;
const STOP_CUT_MS = 500;

/** What opens the circuit breaker, and what comes of it. */
const AWAY: Readonly<Record<NonNullable<BreakerState['reason']>, (detail: string) => string>> = {
  down: (detail) =>
    `Iterable does not answer as it should (${detail}); sending waits and tries again. If Iterable is not down, check ITERABLE_API_BASE_URL`,
  'key-refused': (detail) =>
    `Iterable refuses the API key (${detail}): nothing is sent until it accepts it; check ITERABLE_API_KEY (a server-side key) and ITERABLE_API_BASE_URL (US or EU)`,
  'slow-down': (detail) =>
    `Iterable says that its rate limit is exceeded (${detail}); sending pauses`,
};

export interface SenderOptions {
  settings: IterableSettings;
  /** Left out where nobody asks for them. */
  metrics?: Metrics;
  outages: Outages;
  connectionsMax: number;
  onBreakerChange?: (state: BreakerState) => void;
  /** Whether this instance may still send (see GroupMember.isCurrent). Default: always. */
  mayStart?: () => boolean;
}

/** Everything between a payload and Iterable: limiters, breaker, retries, connections. */
export class Sender implements AsyncDisposable {
  readonly http: IterableHttp;
  readonly breaker: CircuitBreaker;
  readonly key: KeyQuestion;
  readonly calls: IterableCalls;
  readonly limiters: Readonly<Record<Endpoint, RateLimiter>>;

  constructor(options: SenderOptions) {
    const { settings, metrics, outages } = options;
    const now = (): number => performance.now();
    const mayStart = options.mayStart ?? (() => true);
    const limiter = (limitPerSecond: number): RateLimiter =>
      new RateLimiter({ limitPerSecond, now, mayStart });
    this.http = new IterableHttp({ ...settings, connectionsMax: options.connectionsMax });
    this.key = new KeyQuestion(() => this.http.checkKey());
    this.breaker = new CircuitBreaker({
      now,
      random: Math.random,
      onChange: (state) => {
        noteBreaker(outages, state);
        options.onBreakerChange?.(state);
      },
    });
    this.limiters = {
      '/api/users/update': limiter(settings.usersUpdatePerSecond),
      '/api/events/track': limiter(settings.eventsTrackPerSecond),
      '/api/users/bulkUpdate': limiter(BULK_UPDATE_PER_SECOND),
      '/api/events/trackBulk': limiter(TRACK_BULK_PER_SECOND),
    };
    this.calls = new IterableCalls({
      http: this.http,
      breaker: this.breaker,
      key: this.key,
      limiters: this.limiters,
      random: Math.random,
      onAnswer: (endpoint, status) => {
        metrics?.iterableRequests.inc({ endpoint: shortName(endpoint), status });
      },
      onRetry: (endpoint, reason) => {
        metrics?.retries.inc({ endpoint: shortName(endpoint), reason });
      },
    });
  }

  /** How fast users get through, as the reconciler asks. */
  get pace(): Pick<ReconcilerDeps, 'waitingForLimiter' | 'usersPerSecond' | 'holdUps' | 'thereMs'> {
    const limiter = this.limiters['/api/users/update'];
    return {
      waitingForLimiter: () => limiter.waiting,
      usersPerSecond: () => limiter.perSecond,
      holdUps: () => this.breaker.holdUps,
      thereMs: () => this.breaker.closedMs,
    };
  }

  /**
   * This instance's part of Iterable's limits, 0 to 1; a larger one counts a second after
   * `freeSinceMs` (see RateLimiter.setShare).
   */
  setShare(share: number, freeSinceMs?: number): void {
    for (const limiter of Object.values(this.limiters)) limiter.setShare(share, freeSinceMs);
  }

  /**
   * Lets what is out end: `drained` is awaited up to STOP_GRACE_MS, then what still waits is given
   * up. Iterable being away, waiting has no point, and it is given up at once. A 429 is over soon,
   * and what it holds up would keep back the offsets of all that was sent after.
   */
  async stop(drained: () => Promise<void>): Promise<void> {
    if (this.breaker.isOpen && this.breaker.state.reason !== 'slow-down') this.calls.stop();
    const done = drained();
    await within(done, STOP_GRACE_MS);
    this.calls.stop();
    await within(done, STOP_CUT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.calls.stop();
    await this.http[Symbol.asyncDispose]();
  }
}

/** Waits for a promise, but no longer than `ms`. */
export async function within(promise: Promise<void>, ms: number): Promise<void> {
  const timer = new AbortController();
  const timeout = sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([promise, timeout]);
  timer.abort();
}

function shortName(endpoint: Endpoint): string {
  return endpoint.slice('/api/'.length);
}

function noteBreaker(outages: Outages, { reason, detail }: BreakerState): void {
  const sentence = reason === null ? null : AWAY[reason](detail ?? 'no detail');
  const isSlow = reason === 'slow-down';
  outages.set('iterable', 'breaker', isSlow ? null : sentence, {
    isAdvice: reason === 'key-refused',
  });
  outages.set('rate limit', 'breaker', isSlow ? sentence : null);
}

import { setTimeout as sleep } from 'node:timers/promises';
import { CallGate, type GateState } from '../iterable/call-gate.ts';
import { IterableCalls } from '../iterable/calls.ts';
import { type Endpoint, IterableHttp } from '../iterable/http.ts';
import { KeyQuestion } from '../iterable/key-question.ts';
import { RateBudget } from '../iterable/rate-budget.ts';
import type { Outages } from '../observe/outages.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { IterableSettings } from '../settings/types.ts';
import type { EngineDeps } from './engine.ts';

/** Iterable's documented limits of the bulk endpoints, calls a second. */
const BULK_UPDATE_PER_SECOND = 5;
const TRACK_BULK_PER_SECOND = 10;
/** A clean stop leaves this much time to calls that are out, and to the second of a pair. */
const STOP_GRACE_MS = 6_000;
const STOP_CUT_MS = 500;

/** What closes the gate, and what comes of it. */
const AWAY: Readonly<Record<NonNullable<GateState['reason']>, (detail: string) => string>> = {
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
  onGateChange?: (state: GateState) => void;
  /** Whether this instance may still send (see GroupMember.isCurrent). Default: always. */
  mayStart?: () => boolean;
}

/** Everything between a payload and Iterable: budgets, gate, retries, connections. */
export class Sender implements AsyncDisposable {
  readonly http: IterableHttp;
  readonly gate: CallGate;
  readonly key: KeyQuestion;
  readonly calls: IterableCalls;
  readonly budgets: Readonly<Record<Endpoint, RateBudget>>;

  constructor(options: SenderOptions) {
    const { settings, metrics, outages } = options;
    const now = (): number => performance.now();
    const mayStart = options.mayStart ?? (() => true);
    const budget = (limitPerSecond: number): RateBudget =>
      new RateBudget({ limitPerSecond, now, mayStart });
    this.http = new IterableHttp({ ...settings, connectionsMax: options.connectionsMax });
    this.key = new KeyQuestion(() => this.http.checkKey());
    this.gate = new CallGate({
      now,
      random: Math.random,
      onChange: (state) => {
        noteGate(outages, state);
        options.onGateChange?.(state);
      },
    });
    this.budgets = {
      '/api/users/update': budget(settings.usersUpdatePerSecond),
      '/api/events/track': budget(settings.eventsTrackPerSecond),
      '/api/users/bulkUpdate': budget(BULK_UPDATE_PER_SECOND),
      '/api/events/trackBulk': budget(TRACK_BULK_PER_SECOND),
    };
    this.calls = new IterableCalls({
      http: this.http,
      gate: this.gate,
      key: this.key,
      budgets: this.budgets,
      random: Math.random,
      onAnswer: (endpoint, status) => {
        metrics?.iterableRequests.inc({ endpoint: shortName(endpoint), status });
      },
      onRetry: (endpoint, reason) => {
        metrics?.retries.inc({ endpoint: shortName(endpoint), reason });
      },
    });
  }

  /** How fast users get through, as the engine asks. */
  get pace(): Pick<EngineDeps, 'waitingForBudget' | 'budgetPerSecond' | 'holdUps' | 'openMs'> {
    const budget = this.budgets['/api/users/update'];
    return {
      waitingForBudget: () => budget.waiting,
      budgetPerSecond: () => budget.perSecond,
      holdUps: () => this.gate.holdUps,
      openMs: () => this.gate.openMs,
    };
  }

  /**
   * This instance's part of Iterable's limits, 0 to 1; a larger one counts a second after
   * `freeSinceMs` (see RateBudget.setShare).
   */
  setShare(share: number, freeSinceMs?: number): void {
    for (const budget of Object.values(this.budgets)) budget.setShare(share, freeSinceMs);
  }

  /**
   * Lets what is out end: `drained` is awaited up to STOP_GRACE_MS, then what still waits is given
   * up. Iterable being away, waiting has no point, and it is given up at once. A 429 is over soon,
   * and what it holds up would keep back the offsets of all that was sent after.
   */
  async stop(drained: () => Promise<void>): Promise<void> {
    if (!this.gate.isOpen && this.gate.state.reason !== 'slow-down') this.calls.stop();
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

function noteGate(outages: Outages, { reason, detail }: GateState): void {
  const sentence = reason === null ? null : AWAY[reason](detail ?? 'no detail');
  const isSlow = reason === 'slow-down';
  outages.set('iterable', 'gate', isSlow ? null : sentence, {
    isAdvice: reason === 'key-refused',
  });
  outages.set('rate limit', 'gate', isSlow ? sentence : null);
}

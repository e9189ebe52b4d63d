import { setTimeout as sleep } from 'node:timers/promises';
import { RECONCILER_DEFAULTS } from '../../src/deliver/reconciler-options.ts';
import { Reconciler } from '../../src/deliver/reconciler.ts';
import { SentMemory } from '../../src/deliver/sent-memory.ts';
import {
  type Delivery,
  type FailedDelivery,
  type IsWanted,
  type Sink,
  StoppedError,
} from '../../src/deliver/sink.ts';
import type { Trigger, TriggerOutcome } from '../../src/deliver/trigger.ts';
import { systemClock } from '../../src/model/clock.ts';
import type { EligibleUser } from '../../src/rule/eligible-user.ts';
import { callsOf } from './deliveries.ts';
import { triggerFor } from './triggers.ts';

const OK = { kind: 'ok', status: 200, body: null } as const;
const REFUSED = { kind: 'refused', status: 400, code: null, message: '', body: null } as const;

export function user(userId: string, pageViewId: string): EligibleUser {
  return {
    userId,
    email: `u${userId}@example.com`,
    profile: { plan_type: 'pro', recent_page_view: true },
    pageViewId,
    event: { page: 'pricing', timestamp: '2026-01-01 00:00:00' },
    eventEpochSeconds: 0,
  };
}

/** A database that can be changed at will, and an Iterable that remembers what reached it. */
export class World {
  readonly rows = new Map<string, EligibleUser>();
  readonly visible = new Set<string>();
  readonly sent: EligibleUser[] = [];
  readonly outcomes: TriggerOutcome[] = [];
  readonly busy = new Set<string>();
  overlaps = 0;
  refuses = false;
  refusesTrack = false;
  givesUp = false;
  /** Users whose calls fail, and every try in order. */
  readonly failing = new Set<string>();
  readonly tries: { userId: string; isRetry: boolean }[] = [];
  readonly letters: Delivery[] = [];
  readonly addressesBusy = new Set<string>();
  addressOverlaps = 0;
  /** Holds a delivery up. */
  deliverLater: (eligible: EligibleUser) => Promise<void> = () => Promise.resolve();
  whileDelivering: (isWanted: IsWanted) => void = () => undefined;
  holdUps = 0;
  aheadMs = 0;
  failingRecords = 0;
  failingLooks = 0;
  /** How many users each look was about. */
  readonly looks: number[] = [];
  executed: () => boolean | null = () => null;
  readonly reconciler: Reconciler;

  constructor(options: Partial<typeof RECONCILER_DEFAULTS> = {}, slowMs = 0) {
    this.reconciler = new Reconciler(
      {
        look: async (ids) => {
          this.looks.push(ids.length);
          const visibility = { views: new Set(this.visible), hasExecuted: this.executed };
          await sleep(slowMs);
          if (this.failingLooks-- > 0) throw new Error('the database is away');
          return { visibility, rows: ids.flatMap((id) => this.rows.get(id) ?? []) };
        },
        sink: this.#sink(slowMs),
        memory: new SentMemory(1000),
        onDelivery: (delivery) => {
          if (this.failingRecords-- > 0) return Promise.reject(new StoppedError());
          if (delivery.calls[0]?.outcome.kind === 'refused') this.letters.push(delivery);
          return Promise.resolve();
        },
        onTrouble: () => undefined,
        clock: { ...systemClock, now: () => performance.now() + this.aheadMs },
      },
      { ...RECONCILER_DEFAULTS, ...options },
    );
  }

  #sink(slowMs: number): Pick<Sink, 'deliver' | 'pace' | 'isThere'> {
    const holdUps = (): number => this.holdUps;
    const thereMs = (): number => performance.now() + this.aheadMs;
    return {
      deliver: (...asked) => this.#deliver(slowMs, ...asked),
      isThere: () => Promise.resolve(true),
      pace: {
        waiting: 0,
        perSecond: 500,
        callsInFlight: 0,
        get holdUps() {
          return holdUps();
        },
        get thereMs() {
          return thereMs();
        },
      },
    };
  }

  async #deliver(
    slowMs: number,
    eligible: EligibleUser,
    isWanted: IsWanted,
    isRetry: boolean,
  ): Promise<Delivery | FailedDelivery> {
    const fails = this.failing.has(eligible.userId);
    const address = (eligible.email ?? '').toLowerCase();
    if (this.busy.has(eligible.userId)) this.overlaps += 1;
    if (this.addressesBusy.has(address)) this.addressOverlaps += 1;
    this.busy.add(eligible.userId);
    this.addressesBusy.add(address);
    this.tries.push({ userId: eligible.userId, isRetry });
    await sleep(slowMs);
    await this.deliverLater(eligible);
    this.busy.delete(eligible.userId);
    this.addressesBusy.delete(address);
    if (fails) {
      return {
        user: eligible,
        calls: [],
        failedCall: 'users/update',
        failure: { kind: 'failed', status: 500, message: '', retryAfterMs: null },
        notTried: ['events/track'],
      };
    }
    this.sent.push(eligible);
    this.whileDelivering(isWanted);
    if (this.givesUp) throw new StoppedError();
    const update = this.refuses ? REFUSED : OK;
    const track = this.refusesTrack ? REFUSED : OK;
    return { user: eligible, calls: callsOf(update, track) };
  }

  trigger(userId: string, about: Partial<Trigger> = {}): Trigger {
    return triggerFor(userId, { finish: (outcome) => this.outcomes.push(outcome), ...about });
  }
}

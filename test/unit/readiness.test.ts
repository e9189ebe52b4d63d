import { describe, expect, it } from 'vitest';
import type { CaptureState, CaptureStatus } from '../../src/capture/status.ts';
import { LiveState } from '../../src/commands/live-state.ts';
import type { DeliveryStream } from '../../src/deliver/stream.ts';
import { watchedLetters } from '../../src/deliver/watched-letters.ts';
import { systemClock } from '../../src/model/clock.ts';
import { Figure } from '../../src/observe/figure.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { Readiness } from '../../src/observe/readiness.ts';
import type { DeadLetter } from '../../src/topics/port.ts';

const capture = (state: CaptureState, more: Partial<CaptureStatus> = {}): CaptureStatus => ({
  state,
  reason: null,
  position: null,
  positionAgeSeconds: null,
  capturedRows: {},
  queueBytes: 0,
  publishingSeconds: 0,
  ...more,
});

const LETTER: DeadLetter = {
  id: 'page-view-1',
  userId: '7',
  pageViewId: '1',
  reason: 'refused',
  status: 400,
  code: null,
  time: '2026-01-01T00:00:00.000Z',
};

/** A stream and its sink as far as /readyz asks them. */
function delivering(at: { share: number | null; isCurrent: boolean; sinkShare: number }) {
  const stream = {
    ...at,
    memory: { size: 0 },
    inFlight: { messages: 0, deliveries: 0 },
    recent: { list: () => [] },
    waits: [],
    lag: () => new Promise(() => undefined),
  } as unknown as DeliveryStream;
  const sink = {
    share: at.sinkShare,
    trouble: null,
    pace: { waiting: 0, perSecond: 500, callsInFlight: 0, holdUps: 0, thereMs: 0 },
  };
  return [stream, sink, { count: () => new Promise<number>(() => undefined) }] as const;
}

describe('readiness', () => {
  it('keeps since when a part does not work, however its reason changes', () => {
    let now = 0;
    const readiness = new Readiness(() => now);
    readiness.set('database', 'a', 'away');
    now = 5_000;
    readiness.set('database', 'a', 'refused');
    expect(readiness.troubles()).toEqual([
      { part: 'database', reason: 'refused', since: '1970-01-01T00:00:00.000Z' },
    ]);
  });

  it('of a part that two watch returns only when both see it work', () => {
    const readiness = new Readiness(() => 0);
    readiness.set('database', 'probe', 'away');
    readiness.set('database', 'delivery', 'refused');
    readiness.set('database', 'probe', null);
    expect(readiness.troubles().map(({ reason }) => reason)).toEqual(['refused']);
    readiness.set('database', 'delivery', null);
    expect(readiness.troubles()).toEqual([]);
  });

  it('does not come before both halves have begun', () => {
    const state = new LiveState(createMetrics(), { capture: true, deliver: true });
    expect(state.troubles().map(({ part }) => part)).toEqual(['capture', 'group']);
    state.captureStatus(capture('streaming'));
    state.watch(...delivering({ share: 1, isCurrent: true, sinkShare: 1 }));
    expect(state.notReady()).toEqual([]);
  });

  it.each<[CaptureState, boolean]>([
    ['streaming', true],
    ['waiting for lock', true],
    ['bootstrapping', false],
    ['reconnecting', false],
  ])('of a capture that is %s: %s', (state, isReady) => {
    const live = new LiveState(createMetrics(), { capture: true, deliver: false });
    live.captureStatus(capture(state));
    expect(live.notReady().length === 0).toBe(isReady);
    live.captureStatus(capture('streaming'));
    expect(live.notReady()).toEqual([]);
  });

  it('ends while the topics take nothing, and comes back when they do', () => {
    const live = new LiveState(createMetrics(), { capture: true, deliver: false });
    live.captureStatus(capture('streaming', { publishingSeconds: 6 }));
    expect(live.notReady().join()).toMatch(/^topics: the topics have taken nothing for 6 s/);
    live.captureStatus(capture('streaming'));
    expect(live.notReady()).toEqual([]);
  });

  it.each([
    ['has no partitions assigned yet', { share: null, isCurrent: true, sinkShare: 1 }, false],
    ['is not heard of', { share: 1, isCurrent: false, sinkShare: 1 }, false],
    ['has just assigned them', { share: 1, isCurrent: true, sinkShare: 0 }, false],
    ['has none left for this member', { share: 0, isCurrent: true, sinkShare: 0 }, true],
  ] as const)('while the group %s', (_what, at, isReady) => {
    const live = new LiveState(createMetrics(), { capture: false, deliver: true });
    live.watch(...delivering(at));
    const parts = live.troubles().map(({ part }) => part);
    expect(parts).toEqual(isReady ? [] : ['group']);
    live.watch(...delivering({ share: 1, isCurrent: true, sinkShare: 1 }));
    expect(live.notReady()).toEqual([]);
  });
});

describe('the store of dead letters, as it is watched', () => {
  it('is in trouble from a refusal until it has taken one', async () => {
    const told: (string | null)[] = [];
    let isAway = true;
    const add = () => (isAway ? Promise.reject(new Error('full')) : Promise.resolve());
    const store = watchedLetters({ add }, (reason) => told.push(reason), systemClock);
    await expect(store.add([LETTER])).rejects.toThrow('full');
    isAway = false;
    await store.add([LETTER]);
    expect(told).toEqual(['letters cannot be kept: full', null]);
  });
});

describe('a figure that is not known', () => {
  it('is absent from /metrics and /status, and both answer', async () => {
    const metrics = createMetrics();
    const live = new LiveState(metrics, { capture: true, deliver: true });
    live.captureStatus(capture('streaming'));
    live.watch(...delivering({ share: 1, isCurrent: true, sinkShare: 1 }));
    metrics.topicLag.set({ topic: 'old' }, 7);
    metrics.deadLetters.set(7);
    const text = await live.metrics();
    expect(text).not.toMatch(/^iterable_sync_topic_lag_messages\{/m);
    expect(text).not.toMatch(/^iterable_sync_capture_position_age_seconds /m);
    expect(text).not.toMatch(/^iterable_sync_dead_letters /m);
    expect(text).toMatch(/^iterable_sync_rate_share 1$/m);
    expect(text).toMatch(/^iterable_sync_capture_state\{state="streaming"\} 1$/m);
    expect(text).toMatch(/^iterable_sync_capture_state\{state="reconnecting"\} 0$/m);
    expect(text).toMatch(/^iterable_sync_ready 1$/m);
    expect(await live.status()).not.toHaveProperty('deliver.lag_messages');
  });

  it('is asked for once at a time, and there as soon as the answer is', async () => {
    let asked = 0;
    let answer = Promise.withResolvers<number>();
    const figure = new Figure(() => {
      asked += 1;
      return answer.promise;
    }, 20);
    expect(await Promise.all([figure.read(), figure.read()])).toEqual([null, null]);
    answer.resolve(5);
    expect(await figure.read()).toBe(5);
    expect(asked).toBe(1);
    answer = Promise.withResolvers();
    const failed = figure.read();
    answer.reject(new Error('away'));
    expect(await failed).toBeNull();
    expect(asked).toBe(2);
  });
});

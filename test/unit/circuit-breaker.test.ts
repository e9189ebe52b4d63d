import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/model/clock.ts';
import { CircuitBreaker } from '../../src/sinks/iterable/circuit-breaker.ts';
import type { Reply } from '../../src/sinks/iterable/read-response.ts';

const DOWN: Reply = { kind: 'retry', status: 503, message: 'away', retryAfterMs: null };
const SLOW_DOWN: Reply = { kind: 'retry', status: 429, message: 'slow', retryAfterMs: 90_000 };
const OK: Reply = { kind: 'ok', status: 200, body: {} };

describe('CircuitBreaker', () => {
  let nowMs = 0;
  const clock = { ...systemClock, now: () => nowMs };
  const newBreaker = (): CircuitBreaker =>
    new CircuitBreaker({ clock, random: () => 0, onChange: () => undefined });

  // Guards the count in #close: a delivery that began while it was open has waited as well.
  it('counts an outage when it is over, for those who came before and during it', async () => {
    const breaker = newBreaker();
    for (let failures = 0; failures < 5; failures++) breaker.report(DOWN, false);
    expect(breaker.isOpen).toBe(true);
    expect(breaker.holdUps).toBe(0);
    nowMs += 10_000;
    breaker.report(OK, await breaker.pass());
    expect(breaker.isOpen).toBe(false);
    expect(breaker.holdUps).toBe(1);
    breaker.stop(new Error('done'));
  });

  it('says how long Iterable has asked it to wait', () => {
    const breaker = newBreaker();
    expect(breaker.probesInMs).toBe(0);
    breaker.report(SLOW_DOWN, false);
    nowMs += 30_000;
    expect(breaker.probesInMs).toBe(60_000);
    nowMs += 70_000;
    expect(breaker.probesInMs).toBe(0);
    breaker.stop(new Error('done'));
  });

  // Guards FailureRun: a few records that always fail must not hold up the others.
  it('stays closed for whoever comes, however often those that failed before fail again', () => {
    const breaker = newBreaker();
    let questions = 0;
    for (let i = 0; i < 1_000; i++) {
      const caller = { id: String(i % 100), isRetry: true };
      if (breaker.report(DOWN, false, caller)) {
        questions += 1;
        breaker.answered(true);
      }
    }
    expect(breaker.isOpen).toBe(false);
    expect(questions).toBeGreaterThan(0);
    breaker.report(SLOW_DOWN, false, { id: '1', isRetry: true });
    expect(breaker.isOpen).toBe(false);
    breaker.stop(new Error('done'));
  });

  it('opens where they are all that is left, and Iterable does not answer when it is asked', () => {
    const breaker = newBreaker();
    const reports = Array.from({ length: 5 }, () =>
      breaker.report(DOWN, false, { id: '1', isRetry: true }),
    );
    expect(reports).toEqual([false, false, false, false, true]);
    breaker.answered(false);
    expect(breaker.trouble).toMatchObject({ reason: 'down', detail: 'HTTP 503 away' });
    breaker.stop(new Error('done'));
  });

  it('lets first tries through as probes before those that failed, and more of them each time', async () => {
    nowMs = 0;
    const breaker = newBreaker();
    const probes: string[] = [];
    const knock = (id: string, isRetry: boolean): void => {
      void breaker.pass({ id, isRetry }).then(
        () => probes.push(id),
        () => undefined,
      );
    };
    for (let i = 0; i < 5; i++) breaker.report(DOWN, false, { id: String(i), isRetry: false });
    for (let i = 0; i < 20; i++) knock('failed', true);
    for (let i = 0; i < 10; i++) knock('new', false);
    for (const expected of [4, 10]) {
      nowMs += 10_000;
      while (probes.length < expected) await sleep(5);
      for (let i = 0; i < 4; i++) breaker.report(DOWN, true, { id: 'new', isRetry: false });
    }
    expect(probes.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 'new'));
    breaker.stop(new Error('done'));
  });

  it('counts the time in which it is closed, and no other', async () => {
    nowMs = 0;
    const breaker = newBreaker();
    nowMs = 1_000;
    breaker.report({ ...SLOW_DOWN, retryAfterMs: null }, false);
    nowMs = 61_000;
    expect(breaker.closedMs).toBe(1_000);
    breaker.report(OK, await breaker.pass());
    nowMs = 61_500;
    expect(breaker.closedMs).toBe(1_500);
  });
});

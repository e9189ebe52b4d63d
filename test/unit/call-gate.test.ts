import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { CallGate } from '../../src/iterable/call-gate.ts';
import type { Verdict } from '../../src/iterable/read-response.ts';

const DOWN: Verdict = { kind: 'retry', status: 503, message: 'away', retryAfterMs: null };
const SLOW_DOWN: Verdict = { kind: 'retry', status: 429, message: 'slow', retryAfterMs: 90_000 };
const OK: Verdict = { kind: 'ok', status: 200, body: {} };

describe('CallGate', () => {
  let nowMs = 0;
  const openGate = (): CallGate =>
    new CallGate({ now: () => nowMs, random: () => 0, onChange: () => undefined });

  // Guards the count in #open: a delivery that began while it was closed has waited as well.
  it('counts an outage when it is over, for those who came before and during it', async () => {
    const gate = openGate();
    for (let failures = 0; failures < 5; failures++) gate.report(DOWN, false);
    expect(gate.isOpen).toBe(false);
    expect(gate.holdUps).toBe(0);
    nowMs += 10_000;
    gate.report(OK, await gate.pass());
    expect(gate.isOpen).toBe(true);
    expect(gate.holdUps).toBe(1);
    gate.close(new Error('done'));
  });

  it('says how long Iterable has asked it to wait', () => {
    const gate = openGate();
    expect(gate.opensInMs).toBe(0);
    gate.report(SLOW_DOWN, false);
    nowMs += 30_000;
    expect(gate.opensInMs).toBe(60_000);
    nowMs += 70_000;
    expect(gate.opensInMs).toBe(0);
    gate.close(new Error('done'));
  });

  // Guards FailureRun: a few records that always fail must not hold up the others.
  it('stays open for whoever comes, however often those that failed before fail again', () => {
    const gate = openGate();
    let questions = 0;
    for (let i = 0; i < 1_000; i++) {
      const caller = { id: String(i % 100), isRetry: true };
      if (gate.report(DOWN, false, caller)) {
        questions += 1;
        gate.answered(true);
      }
    }
    expect(gate.isOpen).toBe(true);
    expect(questions).toBeGreaterThan(0);
    gate.report(SLOW_DOWN, false, { id: '1', isRetry: true });
    expect(gate.isOpen).toBe(true);
    gate.close(new Error('done'));
  });

  it('closes where they are all that is left, and Iterable does not answer when it is asked', () => {
    const gate = openGate();
    const reports = Array.from({ length: 5 }, () =>
      gate.report(DOWN, false, { id: '1', isRetry: true }),
    );
    expect(reports).toEqual([false, false, false, false, true]);
    gate.answered(false);
    expect(gate.state).toMatchObject({ reason: 'down', detail: 'HTTP 503 away' });
    gate.close(new Error('done'));
  });

  it('lets first tries through as probes before those that failed, and more of them each time', async () => {
    nowMs = 0;
    const gate = openGate();
    const probes: string[] = [];
    const knock = (id: string, isRetry: boolean): void => {
      void gate.pass({ id, isRetry }).then(
        () => probes.push(id),
        () => undefined,
      );
    };
    for (let i = 0; i < 5; i++) gate.report(DOWN, false, { id: String(i), isRetry: false });
    for (let i = 0; i < 20; i++) knock('failed', true);
    for (let i = 0; i < 10; i++) knock('new', false);
    for (const expected of [4, 10]) {
      nowMs += 10_000;
      while (probes.length < expected) await sleep(5);
      for (let i = 0; i < 4; i++) gate.report(DOWN, true, { id: 'new', isRetry: false });
    }
    expect(probes.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 'new'));
    gate.close(new Error('done'));
  });

  it('counts the time in which it is open, and no other', async () => {
    nowMs = 0;
    const gate = openGate();
    nowMs = 1_000;
    gate.report({ ...SLOW_DOWN, retryAfterMs: null }, false);
    nowMs = 61_000;
    expect(gate.openMs).toBe(1_000);
    gate.report(OK, await gate.pass());
    nowMs = 61_500;
    expect(gate.openMs).toBe(1_500);
  });
});

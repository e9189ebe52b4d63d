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
});

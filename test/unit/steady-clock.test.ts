import { afterEach, describe, expect, it } from 'vitest';
import { keepClockSteady } from '../../src/steady-clock.ts';

const HOUR_MS = 3_600_000;
const realNow = Date.now.bind(Date);

describe('the steady clock', () => {
  afterEach(() => {
    Date.now = realNow;
  });

  it('follows a step forward, runs on at a step back, and is right when that is made up for', () => {
    let offset = 0;
    Date.now = () => realNow() + offset;
    keepClockSteady();
    const about = (): number => Math.round((Date.now() - realNow()) / 1_000);
    expect(about()).toBe(0);
    offset = HOUR_MS;
    expect(about()).toBe(3_600);
    offset = -HOUR_MS;
    expect(about()).toBe(3_600);
    const before = Date.now();
    expect(Date.now()).toBeGreaterThanOrEqual(before);
    offset = 2 * HOUR_MS;
    expect(about()).toBe(7_200);
  });
});

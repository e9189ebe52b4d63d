import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OutageTimer } from '../../src/observe/outage-timer.ts';
import { Outages } from '../../src/observe/outages.ts';

describe('a line about an outage', () => {
  /** What is said, by the second, of a part that works or not as `works` tells of each half second. */
  function said(times: { graceMs: number; settleMs: number }, works: (ms: number) => boolean) {
    const timer = new OutageTimer(times);
    const lines: string[] = [];
    for (let ms = 0; ms <= 200_000; ms += 500) {
      if (works(ms)) timer.works(ms);
      else timer.failed(ms);
      const line = timer.take(ms);
      if (line !== null) lines.push(`${ms / 1000}: ${line.kind} ${line.forMs / 1000}`);
    }
    return lines;
  }

  it('is due when it begins, once a minute while it lasts, and when it ends', () => {
    const away = (ms: number): boolean => ms < 5_000 || ms >= 135_000;
    expect(said({ graceMs: 0, settleMs: 0 }, away)).toEqual([
      '5: begun 0',
      '65: lasts 60',
      '125: lasts 120',
      '135: over 130',
    ]);
  });

  it('is not due of what passes within the grace, nor of its end', () => {
    const flicker = (ms: number): boolean => ms % 2_000 >= 1_000;
    expect(said({ graceMs: 1_500, settleMs: 0 }, flicker)).toEqual([]);
  });

  it('is one of what comes and goes, until it has settled', () => {
    const flicker = (ms: number): boolean => ms % 2_000 >= 1_000 || ms > 70_000;
    expect(said({ graceMs: 0, settleMs: 10_000 }, flicker)).toEqual([
      '0: begun 0',
      '60: lasts 60',
      '80.5: over 70.5',
    ]);
  });
});

describe('the outages of a program in its log', () => {
  beforeEach(
    () => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] }),
  );
  afterEach(() => void vi.useRealTimers());

  function outages() {
    const lines: string[] = [];
    const write = (line: string): void => {
      const { level, msg } = JSON.parse(line) as { level: number; msg: string };
      lines.push(`${level}: ${msg}`);
    };
    return { lines, log: new Outages(pino({ level: 'info' }, { write })) };
  }

  it('are one for each part, whoever notices it, from the first to the last', () => {
    const { lines, log } = outages();
    log.set('database', 'capture', 'it is away');
    vi.advanceTimersByTime(500);
    log.set('database', 'probe', 'it is away');
    vi.advanceTimersByTime(70_000);
    log.set('database', 'probe', null);
    vi.advanceTimersByTime(500);
    log.set('database', 'capture', null);
    log.set('database', 'capture', null);
    expect(log.isAway('database')).toBe(true);
    vi.advanceTimersByTime(2_000);
    expect(log.isAway('database')).toBe(false);
    expect(lines).toEqual([
      '40: it is away',
      '40: it is away (for 60 s)',
      '30: the database answers again, after 71 s',
    ]);
  });

  it('are said also where nobody reports them a second time', () => {
    const { lines, log } = outages();
    log.set('Kafka', 'probe', 'Kafka does not answer');
    vi.advanceTimersByTime(999);
    expect(lines).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(lines).toEqual(['40: Kafka does not answer']);
  });

  it('say at once what somebody has to do, also in the middle, and once', () => {
    const { lines, log } = outages();
    log.set('Kafka', 'publishing', 'away');
    vi.advanceTimersByTime(2_000);
    log.set('Kafka', 'publishing', 'raise the limit', { isAdvice: true });
    log.set('Kafka', 'publishing', 'raise the limit', { isAdvice: true });
    expect(lines).toEqual(['40: away', '40: raise the limit (for 2 s)']);
  });

  it('are said sooner where somebody notices that cannot be wrong', () => {
    const { lines, log } = outages();
    log.set('Kafka', 'group', 'joining again', { graceMs: 10_000 });
    vi.advanceTimersByTime(2_000);
    expect(lines).toEqual([]);
    log.set('Kafka', 'probe', 'no answer');
    expect(lines).toEqual(['40: no answer']);
    log.set('Kafka', 'probe', null);
    vi.advanceTimersByTime(5_000);
    expect(lines).toHaveLength(1);
    log.set('Kafka', 'group', null);
    vi.advanceTimersByTime(2_000);
    log.set('Kafka', 'probe', 'no answer yet');
    vi.advanceTimersByTime(1_000);
    log.set('Kafka', 'probe', null);
    vi.advanceTimersByTime(4_000);
    expect(lines.slice(1)).toEqual(['30: Kafka answers again, after 10 s']);
  });

  it('end with the program', () => {
    const { lines, log } = outages();
    log.set('Kafka', 'probe', 'away');
    log[Symbol.dispose]();
    vi.advanceTimersByTime(100_000);
    log.set('Kafka', 'probe', null);
    expect(lines).toEqual([]);
  });
});

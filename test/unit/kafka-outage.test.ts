import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Outage } from '../../src/topics/kafka/outage.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

function outage() {
  const lines: string[] = [];
  const write = (line: string): void => {
    const { level, msg } = JSON.parse(line) as { level: number; msg: string };
    lines.push(`${level}: ${msg}`);
  };
  return { lines, log: new Outage(pino({}, { write })) };
}

describe('an outage in the log', () => {
  it('is one warning when it begins, one a minute while it lasts, and one line at its end', () => {
    const { lines, log } = outage();
    for (let ms = 0; ms < 130_000; ms += 500) {
      log.failed('Kafka is away', true);
      vi.advanceTimersByTime(500);
    }
    log.over('Kafka is back');
    log.over('Kafka is back');
    expect(lines).toEqual([
      '40: Kafka is away',
      '40: Kafka is away (for 61 s)',
      '40: Kafka is away (for 121 s)',
      '30: Kafka is back',
    ]);
  });

  it('is not worth a word where it passes at once', () => {
    const { lines, log } = outage();
    log.failed('a leader moves', true);
    vi.advanceTimersByTime(900);
    log.failed('a leader moves', true);
    log.over('it is over');
    vi.advanceTimersByTime(5_000);
    log.failed('a leader moves', true);
    log.over('it is over');
    expect(lines).toEqual([]);
  });

  it('says at once what somebody has to do, also in the middle of another', () => {
    const { lines, log } = outage();
    log.failed('away', true);
    vi.advanceTimersByTime(2_000);
    log.failed('away', true);
    log.failed('raise the limit', false);
    log.failed('raise the limit', false);
    expect(lines).toEqual(['40: away', '40: raise the limit (for 2 s)']);
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/model/clock.ts';
import { CircuitBreaker } from '../../src/sinks/iterable/circuit-breaker.ts';
import { StoppedError } from '../../src/deliver/sink.ts';
import { IterableCalls } from '../../src/sinks/iterable/calls.ts';
import type { KeyAnswer } from '../../src/sinks/iterable/key-question.ts';
import { RateLimiter, type Start } from '../../src/sinks/iterable/rate-limiter.ts';
import type { Reply } from '../../src/sinks/iterable/read-response.ts';

const OK: Reply = { kind: 'ok', status: 200, body: null };
const FORBIDDEN: Reply = { kind: 'unauthorised', status: 403, code: null, message: 'no' };
const failure = (status: number | null): Reply => ({
  kind: 'retry',
  status,
  message: 'away',
  retryAfterMs: null,
});

/** Calls to an Iterable that gives these answers, the last one for ever. */
class World {
  sent = 0;
  /** Starts that were taken from a limit. */
  granted = 0;
  questions = 0;
  answers: Reply[] = [];
  keyAnswers: KeyAnswer[] = [];
  readonly breaker = new CircuitBreaker({
    clock: systemClock,
    random: Math.random,
    onChange: () => undefined,
  });
  readonly calls: IterableCalls;

  constructor() {
    const limiter = (): RateLimiter => {
      const one = new RateLimiter({ limitPerSecond: 500, clock: systemClock });
      one.setShare(1);
      const take = one.take.bind(one);
      one.take = async (...asked): Promise<Start | null> => {
        const start = await take(...asked);
        if (start !== null) this.granted += 1;
        return start;
      };
      return one;
    };
    this.calls = new IterableCalls({
      http: {
        post: () => {
          this.sent += 1;
          return Promise.resolve(next(this.answers) ?? OK);
        },
      },
      key: {
        ask: () => {
          this.questions += 1;
          return Promise.resolve(next(this.keyAnswers) ?? 'accepted');
        },
      },
      breaker: this.breaker,
      limiters: {
        '/api/users/update': limiter(),
        '/api/events/track': limiter(),
        '/api/users/bulkUpdate': limiter(),
        '/api/events/trackBulk': limiter(),
      },
      clock: systemClock,
      random: () => 0,
      onAnswer: () => undefined,
    });
  }
}

function next<T>(list: T[]): T | undefined {
  return list.length > 1 ? list.shift() : list[0];
}

describe('IterableCalls', () => {
  let world = new World();
  const update = (): Promise<{ kind: string; status: number | null }> =>
    world.calls.call('/api/users/update', {}, { id: '7', isRetry: false });
  afterEach(() => {
    world.calls.stop();
    world = new World();
  });

  it('end with a failure that is worth another try, and leave that to whoever called', async () => {
    for (const status of [500, 503, 408, null]) {
      world.answers = [failure(status)];
      expect(await update()).toMatchObject({ kind: 'failed', status });
    }
    expect(world.sent).toBe(4);
    expect(world.breaker.isOpen).toBe(false);
  });

  it('wait out a 429, which is about all of them', async () => {
    world.answers = [failure(429), OK];
    expect(await update()).toMatchObject({ kind: 'ok' });
    expect(world.sent).toBe(2);
  });

  it('spend nothing of the limit on what waits while a 429 is waited out', async () => {
    world.answers = [OK, OK, failure(429), OK];
    await Promise.all(Array.from({ length: 200 }, update));
    expect(world.sent).toBeGreaterThan(200);
    expect(world.granted).toBe(world.sent);
  });

  it('refuse the record, and send the next, where a 403 comes and the key itself is accepted', async () => {
    world.answers = [FORBIDDEN, OK];
    expect(await update()).toMatchObject({ kind: 'refused', status: 403, message: 'no' });
    expect(world.breaker.isOpen).toBe(false);
    expect(await update()).toMatchObject({ kind: 'ok' });
    expect(world.questions).toBe(1);
  });

  it('refuse nothing where nobody can say whether the key is accepted', async () => {
    world.answers = [FORBIDDEN];
    world.keyAnswers = ['unanswered'];
    expect(await update()).toMatchObject({ kind: 'failed', status: 403 });
  });

  it('send nothing more while the key is refused: the key is what is tried', async () => {
    world.answers = [FORBIDDEN, OK];
    world.keyAnswers = ['refused', 'refused', 'accepted'];
    const first = update();
    const second = update();
    first.catch(() => undefined);
    while (!world.breaker.isOpen) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(world.breaker.trouble?.reason).toBe('key-refused');
    const sent = world.sent;
    while (world.questions < 3) {
      expect(world.sent).toBe(sent);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect((await Promise.all([first, second])).map(({ kind }) => kind)).toEqual(['ok', 'ok']);
  }, 30_000);

  it('are given up when the program stops', async () => {
    world.answers = [failure(429)];
    const call = update();
    setTimeout(() => world.calls.stop(), 20);
    await expect(call).rejects.toThrow(StoppedError);
  });
});

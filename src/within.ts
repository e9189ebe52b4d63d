import type { Clock } from './model/clock.ts';

/** Waits for a promise, but no longer than `ms`. */
export async function within(promise: Promise<void>, ms: number, clock: Clock): Promise<void> {
  const timer = new AbortController();
  const timeout = clock.sleep(ms, timer.signal).catch(() => undefined);
  await Promise.race([promise, timeout]);
  timer.abort();
}

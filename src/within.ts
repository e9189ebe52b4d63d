import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a promise, but no longer than `ms`. */
export async function within(promise: Promise<void>, ms: number): Promise<void> {
  const timer = new AbortController();
  const timeout = sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([promise, timeout]);
  timer.abort();
}

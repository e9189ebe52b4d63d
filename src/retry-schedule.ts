export interface RetrySchedule {
  firstMs: number;
  factor: number;
  maxMs: number;
}

/** Short enough at its longest that a stream moves again within 15 s of Iterable's return. */
export const CALL_RETRIES: RetrySchedule = { firstMs: 250, factor: 2, maxMs: 10_000 };

/**
 * How long to wait before try number `attempt` + 1 (`attempt` ≥ 1 have failed): exponential with
 * jitter, between half the step and the step. A time named by the server is a lower bound beside
 * that one: `Retry-After: 0` is no leave to try again at once. `random` is from 0 up to 1.
 */
export function retryDelayMs(
  schedule: RetrySchedule,
  attempt: number,
  random: number,
  retryAfterMs: number | null = null,
): number {
  const exponent = Math.min(attempt - 1, 30);
  const step = Math.min(schedule.maxMs, schedule.firstMs * schedule.factor ** exponent);
  const jittered = step / 2 + (step / 2) * random;
  if (retryAfterMs === null) return jittered;
  return Math.max(jittered, retryAfterMs + (schedule.firstMs / 2) * random);
}

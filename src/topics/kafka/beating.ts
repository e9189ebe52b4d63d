import { setTimeout as sleep } from 'node:timers/promises';
import type { EachBatchPayload } from 'kafkajs';

/** Waits for the work, or until the consumer stops; heartbeats go on meanwhile. @throws what the work or a heartbeat throws. */
export async function beating(
  work: Promise<unknown>,
  payload: EachBatchPayload,
  everyMs: number,
): Promise<void> {
  while (!(await endsWithin(work, everyMs)) && payload.isRunning()) {
    await payload.heartbeat();
  }
}

/** Whether the work is done after at most `ms`. @throws what the work throws. */
export async function endsWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([work.then(() => true), tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits; false when the signal aborts. */
export async function isLater(ms: number, signal: AbortSignal): Promise<boolean> {
  return await sleep(ms, true, { signal, ref: false }).catch(() => false);
}

import type { Clock } from '../../model/clock.ts';
import type { EmbeddedLog } from './log.ts';

/** Deleted at a time, and the pause between: nobody waits long for it, and it is faster than capture. */
const STEP_MESSAGES = 10_000;
const STEP_PAUSE_MS = 50;

/** Deletes everything older than `beforeMs`, step by step, until `signal` aborts. */
export async function dropAllOld(
  log: EmbeddedLog,
  beforeMs: number,
  signal: AbortSignal,
  clock: Clock,
): Promise<{ dropped: number; unread: number }> {
  const all = { dropped: 0, unread: 0 };
  while (!signal.aborted) {
    const { dropped, unread } = log.dropOld(beforeMs, STEP_MESSAGES);
    all.dropped += dropped;
    all.unread += unread;
    if (dropped < STEP_MESSAGES) break;
    await clock.sleep(STEP_PAUSE_MS);
  }
  return all;
}

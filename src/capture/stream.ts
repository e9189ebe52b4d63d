import type { Clock, Timer } from '../model/clock.ts';
import type { ChangeReading, Gap } from '../source/port.ts';
import { PublishQueue, type PublishQueueOptions } from './publish-queue.ts';
import { Resync, type LookOptions } from './resync.ts';
import type { Start } from './start.ts';
import type { LiveStatus } from './status.ts';

/** After a stop, what is in memory has this long to be published. */
const CLOSING_MS_MAX = 5_000;

export interface StreamOptions
  extends
    Pick<PublishQueueOptions, 'publisher' | 'clock'>,
    Pick<LookOptions, 'eligibleUserIds' | 'encoder'> {
  checkpointSource: string;
  start: Start;
  reading: ChangeReading;
  /** Ends the reading, with what was read handed out. */
  stopReading: () => void;
  status: LiveStatus;
  /** Called when everyone has to be looked at. */
  onResync: () => void;
  /** A look at everyone failed, which is tried again. */
  onLookFailed: (error: unknown) => void;
  /** A stop was asked for. */
  signal: AbortSignal;
}

/**
 * Publishes what the source tells until it ends: null after a stop, or the gap that it ended with. All
 * that was read is then published and the position saved, as it is when this rejects with what reading
 * failed with.
 */
export async function stream(options: StreamOptions): Promise<Gap | null> {
  const { publisher, start, reading, status, clock, signal, onResync } = options;
  using closing = closingLimit(clock, signal);
  const ended = new AbortController();
  const queue: PublishQueue = new PublishQueue({
    publisher,
    source: options.checkpointSource,
    start: start.position,
    pending: () => resync.pending,
    onPublished: (rows) => {
      for (const [kind, count] of rows)
        status.capturedRows[kind] = (status.capturedRows[kind] ?? 0) + count;
    },
    onFailed: options.stopReading,
    clock,
    signal: closing.signal,
  });
  const resync = new Resync({
    eligibleUserIds: options.eligibleUserIds,
    encoder: options.encoder,
    publish: (fill) => queue.publish(fill),
    // Before the look: what the source could not tell until then is seen by it.
    refresh: () => reading.refresh(),
    onSettled: () => queue.save(),
    onError: options.onLookFailed,
    clock,
    signal: AbortSignal.any([signal, ended.signal]),
  });
  const request = (because: string, times: number): void => {
    for (let n = 0; n < times; n += 1) onResync();
    resync.request(because);
  };
  if (start.owed !== null) request(start.owed, 1);
  status.watch({ reading, queue });
  let gap: Gap | null = null;
  try {
    await queue.run(reading, (item) => {
      if (item.kind === 'resync') return request(item.because, item.times);
      gap = item;
      resync.requestAnew(item.sentence);
      queue.save();
    });
  } catch (error) {
    if (!closing.signal.aborted) throw error;
  } finally {
    ended.abort();
  }
  return gap;
}

/** Its signal cuts publishing short, CLOSING_MS_MAX after `signal`: what is left comes again. */
function closingLimit(clock: Clock, signal: AbortSignal): Disposable & { signal: AbortSignal } {
  const closing = new AbortController();
  let timer: Timer | null = null;
  const limit = (): void => {
    timer = clock.timer(CLOSING_MS_MAX, () => closing.abort());
  };
  if (signal.aborted) limit();
  else signal.addEventListener('abort', limit, { once: true });
  return {
    signal: closing.signal,
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', limit);
      timer?.cancel();
    },
  };
}

import { UnavailableError } from '../errors.ts';
import type { Clock, Timer } from '../model/clock.ts';
import type { Logger } from '../observe/logger.ts';
import type { Outages, TopicsPart } from '../observe/outages.ts';
import type { StartFrom } from '../settings/types.ts';
import { type ChangeSource, StuckError } from '../source/port.ts';
import type { Publisher, TopicNames } from '../topics/port.ts';
import { TopicsAwayError, endingStream, noteFailures, refusedLoss } from './failure.ts';
import { RowMessages } from './messages.ts';
import type { EligibleUserIds } from './resync.ts';
import { findStart } from './start.ts';
import { type CaptureResync, type CaptureStatus, LiveStatus } from './status.ts';
import { stream } from './stream.ts';

export type { CaptureStatus } from './status.ts';

export interface CaptureDependencies {
  source: ChangeSource;
  publisher: Publisher;
  /** What an outage of it is called. */
  topicsPart: TopicsPart;
  names: TopicNames;
  /** Where to begin when no checkpoint was ever saved. */
  startFrom: StartFrom;
  eligibleUserIds: EligibleUserIds;
  logger: Logger;
  outages: Outages;
  clock: Clock;
  signal: AbortSignal;
  /** Called when the state changes; the object stays the same and is always up to date. */
  onStatus?: (status: CaptureStatus) => void;
  /** Called when everyone has to be looked at. */
  onResync?: (reason: CaptureResync) => void;
}

/** Between two tries to connect: short at first, since most losses are restarts of the server. */
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;
/** A link that breaks while its server is there takes less to be there again. */
const RECONNECT_MS_MAX = 1_500;
/** Closing takes 8 s at most when all of it has to wait; a stop may take 10 s altogether. */
const STOP_MS_MAX = 9_000;

/**
 * How one connection attempt ended. `away`: what does not work, null where something happened that
 * is to be said whatever came before. `waitMs`: not before that, beside what failures ask for.
 */
type Cycle =
  { kind: 'stopped' } | { kind: 'again'; because: string; away: Away | null; waitMs?: number };
type Away = 'capture' | 'database' | TopicsPart;
const AWAY: readonly Away[] = ['capture', 'database', 'Kafka', 'topics file'];

/**
 * Publishes every change of the two tables, from the last checkpoint on (repeats are possible,
 * holes are not), for ever: it connects again when the database goes away, and stands by while
 * another capture of the same database and topic is active.
 *
 * Resolves after `signal`: what was read is then published and the position saved. Rejects with
 * UnavailableError, in one sentence with what to do, when the database refuses or its settings
 * would lose rows.
 */
export async function runCapture(dependencies: CaptureDependencies): Promise<void> {
  const { logger, outages, clock, signal } = dependencies;
  const status = new LiveStatus(clock, (now) => dependencies.onStatus?.(now));
  const topics = noteFailures(dependencies.publisher);
  status.change('reconnecting', status.reason);
  let failures = 0;
  while (!signal.aborted) {
    const heardBefore = status.newestMs;
    using limit = stopLimit(clock, signal);
    const cycle = await Promise.race([
      runCycle({ ...dependencies, publisher: topics.publisher }, status, topics.failed),
      limit.passed,
    ]);
    if (cycle.kind === 'stopped') return;
    // A life in which the log was read was a success; what follows is a new trouble.
    if (status.newestMs !== heardBefore) failures = 0;
    failures += 1;
    const { away, because } = cycle;
    const backoffMs =
      away === null ? 0 : Math.min(RETRY_FIRST_MS * 2 ** (failures - 1), RETRY_MAX_MS);
    const waitMs = Math.round(Math.max(backoffMs, cycle.waitMs ?? 0));
    if (away === null) logger.warn(`capture: ${because}; starting anew`);
    else {
      // What broke while the topics were away is found out late, when it may be long over.
      const isLate = outages.isAway(dependencies.topicsPart);
      const noticed = isLate ? { graceMs: RECONNECT_MS_MAX } : {};
      outages.set(away, 'capture', `${because}; capture waits and tries again`, noticed);
    }
    status.change('reconnecting', because);
    await clock.sleep(waitMs * (0.5 + Math.random() / 2), signal).catch(() => undefined);
  }
}

/** Whatever hangs (a server that takes connections and says nothing), a stop ends in time. */
function stopLimit(clock: Clock, signal: AbortSignal): Disposable & { passed: Promise<Cycle> } {
  const passed = Promise.withResolvers<Cycle>();
  let timer: Timer | null = null;
  const onStop = (): void => {
    timer = clock.timer(STOP_MS_MAX, () => passed.resolve({ kind: 'stopped' }));
  };
  signal.addEventListener('abort', onStop, { once: true });
  return {
    passed: passed.promise,
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', onStop);
      timer?.cancel();
    },
  };
}

async function runCycle(
  dependencies: CaptureDependencies,
  status: LiveStatus,
  topicsFailed: WeakSet<object>,
): Promise<Cycle> {
  const { source, topicsPart, signal } = dependencies;
  try {
    return await captureOnce(dependencies, status);
  } catch (error) {
    if (signal.aborted) return { kind: 'stopped' };
    const { hasStreamed } = status;
    if (typeof error === 'object' && error !== null && topicsFailed.has(error))
      throw hasStreamed && error instanceof UnavailableError ? endingStream(error) : error;
    if (error instanceof TopicsAwayError)
      return { kind: 'again', because: error.message, away: topicsPart };
    if (error instanceof StuckError)
      return { kind: 'again', because: error.message, away: 'capture', waitMs: error.waitMs };
    const { error: explained, isTransient } = source.explain(error);
    if (isTransient) return { kind: 'again', because: explained.message, away: 'database' };
    throw hasStreamed ? endingStream(explained) : explained;
  }
}

/** Opens the source, and streams until something ends that. */
async function captureOnce(dependencies: CaptureDependencies, status: LiveStatus): Promise<Cycle> {
  const { publisher, names, logger, outages, clock, signal } = dependencies;
  const { eligibleUserIds, onResync } = dependencies;
  const onWaiting = (): void => {
    works(outages);
    logger.info('capture: another one is active; standing by');
    status.change('waiting for lock', 'another capture is active');
  };
  using source = await dependencies.source.open(names.pageViews, signal, onWaiting);
  if (source === null) return { kind: 'stopped' };
  const encoder = new RowMessages(names);
  const shared = {
    publisher,
    checkpointSource: `${dependencies.source.name}.${names.pageViews}`,
    eligibleUserIds,
    encoder,
    clock,
    status,
  };
  const start = await findStart({
    ...shared,
    source,
    startFrom: dependencies.startFrom,
    logger,
    onResync: (reason) => onResync?.(reason),
    signal: AbortSignal.any([signal, source.broken]),
  });
  if (source.broken.aborted) throw source.broken.reason;
  if (start === null) return { kind: 'stopped' };
  const stopping = new AbortController();
  const reading = await source.read(start.position, {
    encoder,
    newBatch: () => publisher.batch(),
    signal: AbortSignal.any([signal, stopping.signal]),
  });
  status.change('streaming', null);
  works(outages);
  logger.info(`capture: streaming from ${start.position.label}`);
  const gap = await stream({
    ...shared,
    start,
    reading,
    stopReading: () => stopping.abort(),
    onResync: () => onResync?.('not-in-log'),
    onLookFailed: (error) =>
      logger.debug({ err: error }, 'capture: the look at everyone is put off'),
    signal,
  });
  if (gap === null) return { kind: 'stopped' };
  if (gap.isFatal) throw refusedLoss(gap.sentence);
  return { kind: 'again', because: gap.sentence, away: gap.isFailure ? 'capture' : null };
}

function works(outages: Outages): void {
  for (const part of AWAY) outages.set(part, 'capture', null);
}

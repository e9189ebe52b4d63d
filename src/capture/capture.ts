import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { connect } from '../database/connect.ts';
import { explainDatabaseError } from '../database/explain.ts';
import { UnavailableError } from '../errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { Outages, TopicsPart } from '../observe/outages.ts';
import type { DatabaseSettings, StartFrom } from '../settings/types.ts';
import type { Publisher, TopicNames } from '../topics/port.ts';
import { AUDIT_INTERVAL_MS, Audit } from '../source/mysql/audit/audit.ts';
import { publishEveryone } from './bootstrap.ts';
import { checkSource, refusalOf } from '../source/mysql/checks/checks.ts';
import {
  TopicsAwayError,
  endingStream,
  isTransient,
  noteFailures,
  refusedLoss,
} from './failure.ts';
import { guardLock, lockName, takeLock } from '../source/mysql/lock.ts';
import { LogFailures } from '../source/mysql/log-failures.ts';
import { type LogPosition, parseCheckpoint, positionText } from '../source/mysql/position.ts';
import {
  type Source,
  readEarliest,
  readNow,
  readSource,
  readVisible,
} from '../source/mysql/server.ts';
import { askAbout, decideStart } from '../source/mysql/start.ts';
import { type CaptureResync, type CaptureStatus, LiveStatus } from './status.ts';
import { type StreamEnd, checkpointText, stream } from './stream.ts';
import { type Definitions, readDefinitions } from '../source/mysql/checks/table-definitions.ts';

export { type Check, checkSource } from '../source/mysql/checks/checks.ts';
export type { CaptureStatus } from './status.ts';

export interface CaptureDependencies {
  db: DatabaseSettings;
  publisher: Publisher;
  /** What an outage of it is called. */
  topicsPart: TopicsPart;
  names: TopicNames;
  /** Where to begin when no checkpoint was ever saved. */
  startFrom: StartFrom;
  /** Everyone whom the rule finds now, page by page. */
  eligibleUserIds: () => AsyncIterable<readonly (number | string)[]>;
  logger: Logger;
  outages: Outages;
  signal: AbortSignal;
  /** Called when the state changes; the object stays the same and is always up to date. */
  onStatus?: (status: CaptureStatus) => void;
  /** Called when everyone has to be looked at. */
  onResync?: (reason: CaptureResync) => void;
  /** Between two looks for rows that are not in the log; AUDIT_INTERVAL_MS by default. */
  auditIntervalMs?: number;
}

/** Between two tries to connect: short at first, since most losses are restarts of the server. */
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;
/** A link that breaks while its server is there takes less to be there again. */
const RECONNECT_MS_MAX = 1_500;
/** Closing takes 8 s at most when all of it has to wait; a stop may take 10 s altogether. */
const STOP_MS_MAX = 9_000;

type CycleDependencies = CaptureDependencies & { audit: Audit; logFailures: LogFailures };

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
 * Resolves after `signal`: what was read is then published and the place saved. Rejects with
 * UnavailableError, in one sentence with what to do, when the database refuses or its settings
 * would lose rows.
 */
export async function runCapture(dependencies: CaptureDependencies): Promise<void> {
  const { logger, outages, signal } = dependencies;
  const status = new LiveStatus((now) => dependencies.onStatus?.(now));
  const topics = noteFailures(dependencies.publisher);
  const audit = new Audit(dependencies.db, dependencies.auditIntervalMs ?? AUDIT_INTERVAL_MS);
  const logFailures = new LogFailures(() => performance.now());
  status.change('reconnecting', status.reason);
  let failures = 0;
  while (!signal.aborted) {
    const heardBefore = status.newestMs;
    using limit = stopLimit(signal);
    const cycle = await Promise.race([
      runCycle(
        { ...dependencies, publisher: topics.publisher, audit, logFailures },
        status,
        topics.failed,
      ),
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
    await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
  }
}

/** Whatever hangs (a server that takes connections and says nothing), a stop ends in time. */
function stopLimit(signal: AbortSignal): Disposable & { passed: Promise<Cycle> } {
  const passed = Promise.withResolvers<Cycle>();
  let timer: NodeJS.Timeout | undefined;
  const onStop = (): void => {
    timer = setTimeout(() => passed.resolve({ kind: 'stopped' }), STOP_MS_MAX);
  };
  signal.addEventListener('abort', onStop, { once: true });
  return {
    passed: passed.promise,
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', onStop);
      clearTimeout(timer);
    },
  };
}

async function runCycle(
  dependencies: CycleDependencies,
  status: LiveStatus,
  topicsFailed: WeakSet<object>,
): Promise<Cycle> {
  const { db, signal } = dependencies;
  let control: Connection | null = null;
  try {
    control = await connect(db);
    return await captureOver(control, dependencies, status);
  } catch (error) {
    if (signal.aborted) return { kind: 'stopped' };
    const { hasStreamed } = status;
    if (typeof error === 'object' && error !== null && topicsFailed.has(error))
      throw hasStreamed && error instanceof UnavailableError ? endingStream(error) : error;
    if (error instanceof TopicsAwayError)
      return { kind: 'again', because: error.message, away: dependencies.topicsPart };
    if (isTransient(error))
      return { kind: 'again', because: sentenceOf(error, db), away: 'database' };
    const explained = error instanceof UnavailableError ? error : explainDatabaseError(error, db);
    throw hasStreamed ? endingStream(explained) : explained;
  } finally {
    control?.destroy();
  }
}

function sentenceOf(error: unknown, db: DatabaseSettings): string {
  return error instanceof UnavailableError
    ? error.message
    : explainDatabaseError(error, db).message;
}

/** `control` holds the lock and answers questions; the binlog has connections of its own. */
async function captureOver(
  control: Connection,
  dependencies: CycleDependencies,
  status: LiveStatus,
): Promise<Cycle> {
  const { db, publisher, names, logger, signal, audit, eligibleUserIds } = dependencies;
  const refusal = refusalOf(await checkSource(control, db));
  if (refusal !== null) throw new UnavailableError(`capture can not start: ${refusal}`);
  const source = await readSource(control);
  const lock = lockName(db.name, names.pageViews);
  const onWaiting = (): void => {
    works(dependencies.outages);
    logger.info('capture: another one is active; standing by');
    status.change('waiting for lock', 'another capture is active');
  };
  if (!(await takeLock(control, lock, signal, onWaiting))) return { kind: 'stopped' };
  const checkpointSource = `${db.name}.${names.pageViews}`;
  using guard = guardLock(control, lock);
  const stopping = AbortSignal.any([signal, guard.signal]);
  const start = await findStart(
    control,
    source,
    checkpointSource,
    { ...dependencies, signal: stopping },
    status,
  );
  if (guard.signal.aborted) throw guard.signal.reason;
  if (start === null) return { kind: 'stopped' };
  const definitions = await readDefinitions(control, db);
  status.change('streaming', null);
  works(dependencies.outages);
  logger.info(`capture: streaming from ${positionText(start.position)}`);
  const end = await stream({
    db,
    source,
    start: start.position,
    everyone: start.everyone,
    onResync: () => dependencies.onResync?.('not-in-log'),
    eligibleUserIds,
    definitions,
    readDefinitions: () => readDefinitionsAnew(db),
    publisher,
    names,
    checkpointSource,
    status,
    audit,
    warn: (sentence) => logger.warn(`capture: ${sentence}`),
    debug: (error, sentence) => logger.debug({ err: error }, `capture: ${sentence}`),
    signal,
    broken: guard.signal,
  });
  switch (end.kind) {
    case 'stopped':
      return { kind: 'stopped' };
    case 'lost':
      if (end.loss.kind === 'refused') throw refusedLoss(end.loss.sentence);
      return { kind: 'again', because: end.loss.sentence, away: null };
    case 'broken':
      return await afterFailure(end, start.position, source, checkpointSource, dependencies);
  }
}

function works(outages: Outages): void {
  for (const part of AWAY) outages.set(part, 'capture', null);
}

/** On a connection of its own: the lock's answers for the lock. */
async function readDefinitionsAnew(db: DatabaseSettings): Promise<Definitions> {
  const connection = await connect(db);
  try {
    return await readDefinitions(connection, db);
  } finally {
    connection.destroy();
  }
}

/** The stream broke: whether to read on from where it ended, or to start anew. */
async function afterFailure(
  { error, readTo }: Extract<StreamEnd, { kind: 'broken' }>,
  position: LogPosition,
  source: Source,
  checkpointSource: string,
  { db, publisher, logFailures, signal }: CycleDependencies,
): Promise<Cycle> {
  const verdict = readTo === null ? null : logFailures.judge(error, readTo);
  if (verdict?.kind === 'later') {
    const because = sentenceOf(error, db);
    return { kind: 'again', because, away: 'capture', waitMs: verdict.waitMs };
  }
  if (verdict?.kind !== 'anew') throw error;
  const { sentence } = verdict;
  const value = checkpointText(position, source, { kind: 'start anew', sentence });
  await publisher.publish([], { source: checkpointSource, value }, signal);
  return { kind: 'again', because: sentence, away: 'capture' };
}

/** Where to stream from, after looking at everyone where that is called for; null: stopped. */
async function findStart(
  control: Connection,
  source: Source,
  checkpointSource: string,
  dependencies: CaptureDependencies,
  status: LiveStatus,
): Promise<{ position: LogPosition; everyone: string | null } | null> {
  const { publisher, names, startFrom, eligibleUserIds, logger, signal } = dependencies;
  const saved = await publisher.loadCheckpoint(checkpointSource);
  const checkpoint = saved === null ? null : parseCheckpoint(saved);
  if (saved !== null && checkpoint === null)
    logger.warn('capture: the saved checkpoint can not be read');
  const start = decideStart(checkpoint, await askAbout(control, source, checkpoint), startFrom);
  if (start.kind === 'resume') return start;
  if (start.because !== null) {
    logger.warn(`capture: ${start.because}; starting anew: all eligible users are looked at again`);
  }
  const saving = (place: LogPosition): { source: string; value: string } => ({
    source: checkpointSource,
    value: checkpointText(place, source, null),
  });
  if (start.from !== 'backfill') {
    const read = start.from === 'now' ? readNow : readEarliest;
    const place = await read(control, source);
    // At once: what is written while capture is down, before it has seen anything, counts as well.
    await publisher.publish([], saving(place), signal);
    return { position: place, everyone: null };
  }
  const position = await readVisible(control, source);
  status.change('bootstrapping', start.because);
  dependencies.onResync?.(start.because === null ? 'first-start' : 'log-lost');
  logger.info(
    `capture: asking for a look at every eligible user; the stream goes on from ${positionText(position)}`,
  );
  const users = await publishEveryone({
    publisher,
    names,
    eligibleUserIds,
    checkpoint: saving(position),
    signal,
  });
  if (users === null) return null;
  logger.info(`capture: asked for a look at ${users} ${users === 1 ? 'user' : 'users'}`);
  return { position, everyone: null };
}

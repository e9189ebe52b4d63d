import type { DatabaseSettings } from '../settings/types.ts';
import { USER_CHANGE_SCHEMA } from '../topics/messages.ts';
import type { Publisher, TopicNames } from '../topics/port.ts';
import { TransactionBuffer, type Loss } from '../source/mysql/transactions/transaction-buffer.ts';
import { isPast } from '../database/log-place.ts';
import { type Audit, type Unlogged, rangesText } from '../source/mysql/audit/audit.ts';
import { openBinlog } from '../source/mysql/dump/binlog.ts';
import { estimateCommitMs } from '../source/mysql/dump/commit-time.ts';
import { Everyone } from './resync.ts';
import { PublishQueue } from './publish-queue.ts';
import { ParentWatch } from '../source/mysql/dump/parent-watch.ts';
import {
  type Checkpoint,
  type LogPosition,
  PositionTracker,
  positionText,
} from '../source/mysql/position.ts';
import { RowMessages, userChange } from './messages.ts';
import { type Source, tablesOf } from '../source/mysql/server.ts';
import type { Definitions } from '../source/mysql/checks/table-definitions.ts';
import type { Watched } from '../source/mysql/statements/statements.ts';
import type { LiveStatus } from './status.ts';

/** Silence of the server for longer is a broken link: three heartbeats and more. */
const SILENCE_MS_MAX = 15_000;
const WATCH_INTERVAL_MS = 1_000;

/** After a stop, what is in memory has this long to be published. */
const CLOSING_MS_MAX = 5_000;

export interface StreamOptions {
  db: DatabaseSettings;
  source: Source;
  start: LogPosition;
  publisher: Publisher;
  names: TopicNames;
  checkpointSource: string;
  status: LiveStatus;
  audit: Audit;
  eligibleUserIds: () => AsyncIterable<readonly (number | string)[]>;
  /** What the tables are at the start, and how to see what they are later. */
  definitions: Definitions;
  readDefinitions: () => Promise<Definitions>;
  /** Why all eligible users are to be asked for from the start, or null. */
  everyone: string | null;
  /** Called when everyone has to be looked at. */
  onResync: () => void;
  warn: (sentence: string) => void;
  debug: (error: unknown, sentence: string) => void;
  /** A stop was asked for. */
  signal: AbortSignal;
  /** Aborts when something beside the stream broke (the lock), with the error as its reason. */
  broken: AbortSignal;
}

/** Why a stream ended. In every case all that was read is published and the place is saved. */
export type StreamEnd =
  | { kind: 'stopped' }
  /** `readTo`: how far the log was read, where it was the log that failed; else null. */
  | { kind: 'broken'; error: unknown; readTo: string | null }
  | { kind: 'lost'; loss: Loss };

/**
 * Reads the binlog from `start` and publishes what it says, until it ends. Rejects only when
 * publishing fails for good.
 */
export async function stream(options: StreamOptions): Promise<StreamEnd> {
  const { db, source, start, publisher, names, status, signal, audit } = options;
  const tracker = new PositionTracker(source.flavour, start);
  const ending = Promise.withResolvers<StreamEnd>();
  const closing = new AbortController();
  let lost: Loss | null = null;
  const queue = new PublishQueue({
    publisher,
    source: options.checkpointSource,
    checkpoint: () => checkpointText(tracker.current(), source, lost, everyone.because),
    onEnds: (ends) => tracker.end(ends),
    onFull: () => binlog.pause(),
    onRoom: () => resume(),
    onPublished: (rows) => {
      for (const [kind, count] of rows)
        status.capturedRows[kind] = (status.capturedRows[kind] ?? 0) + count;
    },
    signal: closing.signal,
  });
  const besides = new AbortController();
  const parents = new ParentWatch();
  let watched: Watched = { database: db.name, model: db.model, parents: [] };
  const onLoss = (loss: Loss): void => {
    lost ??= loss;
    // Saved also where nothing came since the last save.
    queue.mark(() => undefined);
    ending.resolve({ kind: 'lost', loss: lost });
  };
  const takeDefinitions = (now: Definitions): void => {
    parents.watch(now.parents);
    watched = { database: db.name, model: db.model, parents: now.parents };
    if (now.refusal !== null) onLoss({ kind: 'refused', sentence: now.refusal });
  };
  takeDefinitions(options.definitions);
  const everyone = new Everyone({
    userChanges: names.userChanges,
    eligibleUserIds: options.eligibleUserIds,
    // Before the look: what cascaded while a new foreign key was not known is seen by it.
    refresh: async () => takeDefinitions(await options.readDefinitions()),
    queue,
    onError: (error) => options.debug(error, 'the look at everyone is put off'),
    signal: besides.signal,
  });
  const buffer = new TransactionBuffer({
    watched: () => watched,
    server: source.serverUuid,
    messages: new RowMessages(names, (table, id) => audit.note(table, id)),
    tracker,
    queue,
    nowMs: Date.now,
    onLoss,
    onEveryone: (because) => askForEveryone(because),
    onWarning: options.warn,
  });
  const askForEveryone = (because: string): void => {
    options.onResync();
    everyone.ask(because);
  };
  if (options.everyone !== null) askForEveryone(options.everyone);
  audit.begin(positionText(start));
  let quietSinceMs = performance.now();
  const binlog = openBinlog({
    db,
    start,
    flavour: source.flavour,
    tables: tablesOf(source, db),
    parents,
    onEvent: (event) => {
      // What follows a loss is read again, or made good otherwise.
      if (lost !== null) return;
      if (event.kind === 'heartbeat') status.newestMs = Date.now();
      else if (event.kind === 'begin') {
        status.newestMs = event.commitMs ?? estimateCommitMs(Date.now(), event.seconds);
      }
      buffer.handle(event);
    },
    onError: (error) => ending.resolve({ kind: 'broken', error, readTo: '' }),
  });
  const resume = (): void => {
    quietSinceMs = performance.now();
    binlog.resume();
  };
  status.readPosition = () => positionText(tracker.current());
  status.readQueueBytes = () => queue.bytes;
  status.readPublishingMs = () => queue.publishingMs;
  const watch = setInterval(() => {
    if (queue.isFull) return;
    const silentMs = performance.now() - Math.max(binlog.lastHeardMs, quietSinceMs);
    if (silentMs < SILENCE_MS_MAX) return;
    const error = new Error(`the server was silent for ${Math.round(silentMs / 1000)} s`);
    ending.resolve({ kind: 'broken', error, readTo: null });
  }, WATCH_INTERVAL_MS);
  const onStop = (): void => ending.resolve({ kind: 'stopped' });
  signal.addEventListener('abort', onStop, { once: true });
  if (signal.aborted) onStop();
  const onBroken = (): void =>
    ending.resolve({ kind: 'broken', error: options.broken.reason as unknown, readTo: null });
  options.broken.addEventListener('abort', onBroken, { once: true });
  if (options.broken.aborted) onBroken();
  const audited = audit.run({
    serverUuid: source.serverUuid,
    hasPassed: (place) => !queue.isFull && isPast(binlog.reached, place),
    onUnlogged: (found) => makeGood(found, queue, options),
    onError: (error) => options.debug(error, 'the audit is put off'),
    signal: besides.signal,
  });
  let end: StreamEnd;
  try {
    end = await Promise.race([ending.promise, queue.done.then(() => ending.promise)]);
  } finally {
    clearInterval(watch);
    signal.removeEventListener('abort', onStop);
    options.broken.removeEventListener('abort', onBroken);
    await binlog[Symbol.asyncDispose]();
    besides.abort();
    await audited;
    await closeQueue(queue, signal, closing);
    audit.end(positionText(tracker.current()));
  }
  if (end.kind !== 'broken' || end.readTo === null) return end;
  return { ...end, readTo: positionText(tracker.current()) };
}

/** Asks for a look at the users whose rows the log does not have. */
function makeGood(
  { table, ids, userIds }: Unlogged,
  queue: PublishQueue,
  options: StreamOptions,
): void {
  options.warn(
    `${ids.length} rows of ${options.db.model.tables[table]} are not in the binlog (ids ${rangesText(ids)}): written with sql_log_bin=0, or past a filter? Their users are looked at again; let every session write to the binlog`,
  );
  const headers = { schema: USER_CHANGE_SCHEMA };
  const nowMs = Date.now();
  queue.add(
    (to) => {
      for (const id of userIds) {
        to.push(userChange(options.names.userChanges, id, 'audit', nowMs, headers));
      }
    },
    { kind: `${table}.audit`, rows: ids.length },
  );
}

/**
 * Publishes what is in memory: for as long as it takes while the program runs, for
 * CLOSING_MS_MAX after a stop. What is left then comes again after the next start.
 */
async function closeQueue(
  queue: PublishQueue,
  signal: AbortSignal,
  closing: AbortController,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = (): void => {
    timer = setTimeout(() => closing.abort(), CLOSING_MS_MAX);
  };
  if (signal.aborted) limit();
  else signal.addEventListener('abort', limit, { once: true });
  try {
    await queue.close();
  } catch (error) {
    if (!closing.signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', limit);
    clearTimeout(timer);
  }
}

/** See Checkpoint. */
export function checkpointText(
  position: LogPosition,
  source: Source,
  lost: Loss | null,
  everyone: string | null = null,
): string {
  const checkpoint: Checkpoint = {
    flavour: source.flavour,
    serverUuid: source.serverUuid,
    ...position,
    at: new Date().toISOString(),
    ...(lost === null ? {} : { lost: lost.sentence }),
    ...(everyone === null ? {} : { everyone }),
  };
  return JSON.stringify(checkpoint);
}

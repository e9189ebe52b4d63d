import { isPast } from '../../database/log-position.ts';
import type { Clock, Timer } from '../../model/clock.ts';
import type { DatabaseSettings } from '../../settings/types.ts';
import { type ChangeReading, type ReadOptions, type SourceItem, StuckError } from '../port.ts';
import { type Audit, type Unlogged, rangesText } from './audit/audit.ts';
import type { Definitions } from './checks/table-definitions.ts';
import { type Binlog, openBinlog } from './dump/binlog.ts';
import { estimateCommitMs } from './dump/commit-time.ts';
import type { CaptureEvent } from './dump/events.ts';
import { ParentWatch } from './dump/parent-watch.ts';
import type { LogFailures } from './log-failures.ts';
import { type LogPosition, PositionTracker, positionText, sourcePosition } from './position.ts';
import { type ServerFacts, tablesOf } from './server.ts';
import type { Watched } from './statements/statements.ts';
import { ChangeBuffer } from './transactions/change-buffer.ts';
import { type Loss, TransactionBuffer } from './transactions/transaction-buffer.ts';

/** Silence of the server for longer is a broken link: three heartbeats and more. */
const SILENCE_MS_MAX = 15_000;
const WATCH_INTERVAL_MS = 1_000;

/** How people hear of what is no item. */
export interface Say {
  warn: (sentence: string) => void;
  debug: (error: unknown, sentence: string) => void;
}

export interface MysqlReadingOptions extends ReadOptions {
  db: DatabaseSettings;
  facts: ServerFacts;
  from: LogPosition;
  /** What the tables are at the start, and how to see what they are later. */
  definitions: Definitions;
  readDefinitions: () => Promise<Definitions>;
  audit: Audit;
  logFailures: LogFailures;
  say: Say;
  clock: Clock;
  /** Aborts when something beside the log broke (the lock), with the error as its reason. */
  broken: AbortSignal;
  /** What an error is in a sentence. */
  sentenceOf: (error: unknown) => string;
}

/** Why the log is read no further; `isOfLog`: whether it was the log that failed. */
type End = { kind: 'ended' } | { kind: 'broken'; error: unknown; isOfLog: boolean };

/** The binlog from a position on, until it ends (see ChangeReading). */
export class MysqlReading implements ChangeReading {
  readonly #options: MysqlReadingOptions;
  readonly #clock: Clock;
  readonly #tracker: PositionTracker;
  readonly #buffer: ChangeBuffer;
  readonly #transactions: TransactionBuffer;
  readonly #parents = new ParentWatch();
  readonly #besides = new AbortController();
  #watched: Watched;
  #binlog: Binlog | null = null;
  #audited: Promise<void> = Promise.resolve();
  #quietSinceMs = 0;
  #newestMs: number | null = null;
  #isLost = false;
  #end: End | null = null;
  /** Whether its end was told. */
  #isOver = false;
  #closed: Promise<void> | null = null;
  #watch: Timer | null = null;
  readonly #onStop = (): void => this.#finish({ kind: 'ended' });
  readonly #onBroken = (): void => {
    const error: unknown = this.#options.broken.reason;
    this.#finish({ kind: 'broken', error, isOfLog: false });
  };

  constructor(options: MysqlReadingOptions) {
    const { db, facts, from, encoder, audit, say } = options;
    this.#options = options;
    this.#clock = options.clock;
    this.#watched = { database: db.name, model: db.model, parents: [] };
    this.#tracker = new PositionTracker(facts.flavour, from);
    this.#buffer = new ChangeBuffer({
      newBatch: options.newBatch,
      onEnds: (ends) => this.#tracker.end(ends),
      position: () => sourcePosition(facts, this.#tracker.current()),
      onFull: () => this.#binlog?.pause(),
      onRoom: () => this.#resume(),
    });
    this.#transactions = new TransactionBuffer({
      watched: () => this.#watched,
      server: facts.serverUuid,
      encoder,
      onRow: (table, id) => audit.note(table, id),
      tracker: this.#tracker,
      changes: this.#buffer,
      clock: options.clock,
      onLoss: (loss) => this.#lose(loss),
      onResync: (because) => this.#buffer.resync(because),
      onWarning: say.warn,
    });
    this.#define(options.definitions);
  }

  get bytes(): number {
    return this.#buffer.bytes;
  }

  get newestMs(): number | null {
    return this.#newestMs;
  }

  async refresh(): Promise<void> {
    this.#define(await this.#options.readDefinitions());
  }

  [Symbol.asyncIterator](): AsyncIterator<SourceItem, undefined> {
    const { from, signal, broken, audit } = this.#options;
    audit.begin(positionText(from));
    // A definition that refuses the tables ends it before.
    if (this.#closed === null) this.#open();
    signal.addEventListener('abort', this.#onStop, { once: true });
    broken.addEventListener('abort', this.#onBroken, { once: true });
    if (signal.aborted) this.#onStop();
    else if (broken.aborted) this.#onBroken();
    return {
      next: () => this.#next(),
      return: async () => {
        this.#onStop();
        await this.#closed;
        return { done: true, value: undefined };
      },
    };
  }

  async #next(): Promise<IteratorResult<SourceItem, undefined>> {
    const item = (await this.#buffer.next()) ?? this.#last();
    return item === undefined ? { done: true, value: undefined } : { done: false, value: item };
  }

  #open(): void {
    const { db, facts, from, audit, say } = this.#options;
    this.#quietSinceMs = this.#clock.now();
    this.#listenLater();
    const binlog = openBinlog({
      db,
      start: from,
      flavour: facts.flavour,
      tables: tablesOf(facts, db),
      parents: this.#parents,
      clock: this.#clock,
      onEvent: (event) => this.#handle(event),
      onError: (error) => this.#finish({ kind: 'broken', error, isOfLog: true }),
    });
    this.#binlog = binlog;
    this.#audited = audit.run({
      serverUuid: facts.serverUuid,
      hasPassed: (position) => !this.#buffer.isFull && isPast(binlog.reached, position),
      onUnlogged: (found) => this.#addUnlogged(found),
      onError: (error) => say.debug(error, 'the audit is put off'),
      clock: this.#clock,
      signal: this.#besides.signal,
    });
  }

  #handle(event: CaptureEvent): void {
    // What follows a loss is read again, or made good otherwise.
    if (this.#isLost) return;
    if (event.kind === 'heartbeat') this.#newestMs = this.#clock.epochMs();
    else if (event.kind === 'begin') {
      this.#newestMs = event.commitMs ?? estimateCommitMs(this.#clock.epochMs(), event.seconds);
    }
    this.#transactions.handle(event);
  }

  #define(now: Definitions): void {
    const { db } = this.#options;
    this.#parents.watch(now.parents);
    this.#watched = { database: db.name, model: db.model, parents: now.parents };
    if (now.refusal !== null) this.#lose({ sentence: now.refusal, isFatal: true });
  }

  #lose({ sentence, isFatal }: Loss): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#buffer.gap({ kind: 'gap', sentence, isFatal, isFailure: false });
    this.#finish({ kind: 'ended' });
  }

  #resume(): void {
    this.#quietSinceMs = this.#clock.now();
    this.#binlog?.resume();
  }

  #listenLater(): void {
    this.#watch = this.#clock.timer(WATCH_INTERVAL_MS, () => {
      this.#listenLater();
      this.#listen();
    });
  }

  /** Ends a link that is silent for too long. */
  #listen(): void {
    if (this.#buffer.isFull || this.#binlog === null) return;
    const silentMs = this.#clock.now() - Math.max(this.#binlog.lastHeardMs, this.#quietSinceMs);
    if (silentMs < SILENCE_MS_MAX) return;
    const error = new Error(`the server was silent for ${Math.round(silentMs / 1000)} s`);
    this.#finish({ kind: 'broken', error, isOfLog: false });
  }

  /** Reads no further, for the first reason that is given. */
  #finish(end: End): void {
    this.#end ??= end;
    this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    // Not in the midst of an event, or of opening the log.
    await Promise.resolve();
    this.#watch?.cancel();
    this.#options.signal.removeEventListener('abort', this.#onStop);
    this.#options.broken.removeEventListener('abort', this.#onBroken);
    await this.#binlog?.[Symbol.asyncDispose]();
    this.#besides.abort();
    await this.#audited;
    this.#buffer.close();
  }

  /** After all that was read: a log that failed is an error, or a gap where it is given up there. */
  #last(): SourceItem | undefined {
    const end = this.#end;
    if (end === null || this.#isOver) return undefined;
    this.#isOver = true;
    const readTo = positionText(this.#tracker.current());
    this.#options.audit.end(readTo);
    if (end.kind !== 'broken') return undefined;
    const { error, isOfLog } = end;
    const verdict = isOfLog ? this.#options.logFailures.judge(error, readTo) : null;
    if (verdict?.kind === 'later') {
      throw new StuckError(this.#options.sentenceOf(error), verdict.waitMs, error);
    }
    if (verdict?.kind !== 'anew') throw error;
    return { kind: 'gap', sentence: verdict.sentence, isFatal: false, isFailure: true };
  }

  /** The users whose rows the log does not have are looked at. */
  #addUnlogged({ table, ids, userIds }: Unlogged): void {
    const { db, encoder, say } = this.#options;
    say.warn(
      `${ids.length} rows of ${db.model.tables[table]} are not in the binlog (ids ${rangesText(ids)}): written with sql_log_bin=0, or past a filter? Their users are looked at again; let every session write to the binlog`,
    );
    const nowMs = this.#clock.epochMs();
    this.#buffer.add((to) => encoder.looks(userIds, 'audit', nowMs, to), {
      kind: `${table}.audit`,
      rows: ids.length,
    });
  }
}

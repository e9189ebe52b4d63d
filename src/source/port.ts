/**
 * The source as capture sees it: the changes of the two tables in the order of their commits, already
 * encoded as messages, with positions to read on from. `mysql/` implements it for MySQL and MariaDB.
 */
import type { UnavailableError } from '../errors.ts';
import type { OurTable } from '../model/columns.ts';
import type { UserChangeCause } from '../topics/messages.ts';
import type { OutgoingBatch, OutgoingMessage } from '../topics/port.ts';

export type RowOperation = 'insert' | 'update' | 'delete';

/** An integer id; above 2^53, and where the column holds text, as text. */
export type Id = number | string;

/**
 * Rows that were changed together, one at a time. They lie where they were received: all this is good
 * only while they are encoded.
 */
export interface ChangedRows {
  /** How many there were so far. */
  readonly count: number;
  /** Goes to the next one; false after the last. @throws Error where they cannot be read. */
  next(): boolean;
  /** After the change; of a deleted row, what it was. */
  id(): Id | null;
  /** Whom the row is about, after the change; of customers, the id. */
  user(): Id | null;
  /** Of an update: whom it was about before. */
  userBefore(): Id | null;
  /** How many bytes `writeView` takes at most. */
  viewBytesMax(): number;
  /** Writes a page view's message as JSON in UTF-8 at `at`; returns where it ends. */
  writeView(target: Buffer, at: number): number;
}

export interface RowsChange {
  table: OurTable;
  operation: RowOperation;
  rows: ChangedRows;
}

/** What all messages of one transaction share. */
export interface TransactionStamp {
  /** Epoch ms. */
  readonly commitMs: number;
  readonly pageViewHeaders: Readonly<Record<string, string>>;
  /** The same, encoded; good until another transaction's are asked for. */
  readonly encodedPageViewHeaders: Uint8Array;
  readonly userChangeHeaders: Readonly<Record<string, string>>;
  /** Whether changes of page views say which: by their rows it is seen whether they are visible. */
  readonly namesViews: boolean;
}

/** Told of a row that was inserted or updated. */
export type OnRow = (table: OurTable, id: Id | null) => void;

/** Makes the topics' messages for the source, which has the rows but does not know the topics. */
export interface ChangeEncoder {
  /** The messages of these rows, in order. */
  rows(change: RowsChange, stamp: TransactionStamp, to: OutgoingBatch, onRow?: OnRow): void;
  /** A message for each of these users: look at them again. */
  looks(
    userIds: readonly Id[],
    cause: UserChangeCause,
    timestampMs: number,
    to: OutgoingBatch,
  ): void;
  /** A message of a transaction that is committed elsewhere in the log than where its rows are. */
  restamped(message: OutgoingMessage, stamp: TransactionStamp): OutgoingMessage;
}

/** What a checkpoint holds of a position: plain JSON, which the source alone understands. */
export type SavedPosition = Readonly<Record<string, unknown>>;

/** Where to read on: everything before it is handed out. */
export interface SourcePosition {
  readonly saved: SavedPosition;
  /** For people. */
  readonly label: string;
}

/**
 * Changes to publish: a part of a transaction, a whole one, or as many as were read while the item
 * before was published. What may still be rolled back is in none.
 */
export interface Changes {
  kind: 'changes';
  /** Of `newBatch`; may be empty, where transactions concern other tables. */
  messages: OutgoingBatch;
  /** Rows in it by kind (`page_views.insert`). */
  rows: ReadonlyMap<string, number>;
  /**
   * Where to read on once this item and all before it are durable; null: in the midst of a
   * transaction, the position is that of the item before. Made when it is asked for; good until the
   * next item that has one.
   */
  position: (() => SourcePosition) | null;
}

/**
 * Changes that can't be told row by row: everyone is to be looked at again. It comes no later than
 * the item whose position is past them. `times`: so often since the last one, `because` of the newest.
 */
export interface ResyncNeeded {
  kind: 'resync';
  because: string;
  times: number;
}

/**
 * Changes that can't be had from the source: `sentence` says why, and what to do. It comes no later
 * than an item whose position is past them; after what was read before it, the source ends.
 */
export interface Gap {
  kind: 'gap';
  sentence: string;
  /** Whether somebody has to do something first; else begin at another position. */
  isFatal: boolean;
  /** Whether reading failed there; else the source told of it. */
  isFailure: boolean;
}

export type SourceItem = Changes | ResyncNeeded | Gap;

/**
 * Items as they are asked for: asking for the next one is the back-pressure, and says that the one
 * before is published. They end after `signal` and after a gap; where reading fails they end with the
 * error. In every case what was read as a whole is handed out before.
 */
export interface ChangeReading extends AsyncIterable<SourceItem> {
  /** What is in memory, the item that was handed out last included. */
  readonly bytes: number;
  /** Commit time of the newest transaction that was read, or when there was none; null before. */
  readonly newestMs: number | null;
  /**
   * Reads anew what the source must know of the tables. To be called before each look at everyone:
   * what it could not tell until then is seen by that look. May reject.
   */
  refresh(): Promise<void>;
}

/** `unreadable`: it is no position of such a source. */
export type Resumption =
  | { kind: 'resume'; position: SourcePosition }
  | { kind: 'gone'; because: string }
  | { kind: 'unreadable' };

/** `visible`: everything before it can be queried from now on. */
export type Beginning = 'visible' | 'now' | 'earliest';

export interface ReadOptions {
  encoder: ChangeEncoder;
  newBatch: () => OutgoingBatch;
  /** Stops reading; what was read is handed out still. */
  signal: AbortSignal;
}

/** A source that nobody else of this name reads meanwhile. Dispose of it after its reading. */
export interface OpenSource extends Disposable {
  /** Aborts when it may be another's, or is lost; its reason is the error. */
  readonly broken: AbortSignal;
  resume(saved: SavedPosition): Promise<Resumption>;
  positionAt(beginning: Beginning): Promise<SourcePosition>;
  read(from: SourcePosition, options: ReadOptions): Promise<ChangeReading>;
}

export interface ChangeSource {
  /** What its positions are kept by. */
  readonly name: string;
  /**
   * Opens it for the reader of this name, and waits while another one of the name is active
   * (`onWaiting` is called once); null when `signal` aborts. Rejects with UnavailableError where it
   * would lose rows as it is set.
   */
  open(reader: string, signal: AbortSignal, onWaiting: () => void): Promise<OpenSource | null>;
  /** What an error of the source, or of its database, is in a sentence, and whether it may pass. */
  explain(error: unknown): { error: UnavailableError; isTransient: boolean };
}

/** Reading fails at one place again and again: not to be tried before `waitMs`. */
export class StuckError extends Error {
  readonly waitMs: number;

  constructor(message: string, waitMs: number, cause: unknown) {
    super(message, { cause });
    this.waitMs = waitMs;
  }
}

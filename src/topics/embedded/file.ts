import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { UnavailableError } from '../../errors.ts';
import { makeFolder } from '../../folders.ts';
import { brokenFile, troubleOf } from './sqlite-error.ts';

/** Marks the file as ours (`PRAGMA application_id`): "itsy". */
const APPLICATION_ID = 0x69747379;
const VERSION = 1;
/** How long SQLite itself waits, in ms, blocking this process; longer waits are ours. */
const BUSY_TIMEOUT_MS = 250;

/**
 * `log.id` is `partitions.id` × 2^40 + offset: one B-tree, each partition a contiguous range.
 * `ahead` is how far the highest timestamp up to this message lies above its own, which makes
 * `time + ahead` rise along a partition and a search by time a binary search.
 * `group_marks` is what was committed beside an offset; it counts while that offset stands, so that
 * what an earlier version has committed since has none.
 * `marks` note where a partition ended at a moment: what lies below an old mark is old.
 */
const SCHEMA = `
  CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    begin INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0,
    time_max INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, partition));
  CREATE TABLE log (
    id INTEGER PRIMARY KEY, time INTEGER NOT NULL, ahead INTEGER NOT NULL,
    key TEXT, value TEXT, headers TEXT NOT NULL);
  CREATE TABLE marks (
    partition_id INTEGER NOT NULL, at INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (partition_id, at)) WITHOUT ROWID;
  CREATE TABLE group_offsets (
    group_id TEXT NOT NULL, partition_id INTEGER NOT NULL, offset INTEGER NOT NULL,
    PRIMARY KEY (group_id, partition_id)) WITHOUT ROWID;
  CREATE TABLE members (group_id TEXT PRIMARY KEY, pid INTEGER NOT NULL, since TEXT NOT NULL);
  CREATE TABLE checkpoints (source TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE dead_letters (id TEXT PRIMARY KEY, time TEXT NOT NULL, letter TEXT NOT NULL);
`;
/** What files of the same format may lack, and their versions don't ask for. */
const ADDED = `
  CREATE TABLE IF NOT EXISTS group_marks (
    group_id TEXT NOT NULL, partition_id INTEGER NOT NULL, offset INTEGER NOT NULL,
    mark TEXT NOT NULL, PRIMARY KEY (group_id, partition_id)) WITHOUT ROWID;
`;

export function topicsFile(stateDir: string): string {
  return join(stateDir, 'topics.db');
}

/**
 * Opens the file, making it (mode 0600) and its directory (0700) where they are missing.
 * @throws UnavailableError for a file that is corrupt, another program's or a later version's,
 * or a directory that cannot be written.
 */
export function openFile(stateDir: string): DatabaseSync {
  const file = topicsFile(stateDir);
  makeFile(stateDir, file);
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
    // Several processes may start at once; making the schema is a write like any other.
    db.exec('PRAGMA busy_timeout = 5000');
    prepareFile(db, file);
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof UnavailableError) throw error;
    if (troubleOf(error) === 'broken') throw brokenFile(file, error);
    throw new UnavailableError(
      `The topics file ${file} cannot be opened (${(error as Error).message}): ` +
        'check STATE_DIR, its free space and who may write there.',
      { cause: error },
    );
  }
}

function makeFile(stateDir: string, file: string): void {
  try {
    makeFolder(stateDir, 0o700);
    closeSync(openSync(file, 'a', 0o600));
  } catch (error) {
    throw new UnavailableError(
      `STATE_DIR ${stateDir} cannot be written (${(error as Error).message}): ` +
        'make it writable for this user, or name another directory.',
      { cause: error },
    );
  }
}

function prepareFile(db: DatabaseSync, file: string): void {
  const isNew = numberOf(db, 'page_count') === 0;
  // Must be said before the first page is written, and outside a transaction.
  if (isNew) db.exec('PRAGMA auto_vacuum = INCREMENTAL');
  if (!isNew) checkOwner(db, file);
  // NORMAL: a commit survives the death of this process at once, and a power cut when the system has
  // written it out. A power cut can take the newest commits, but only the newest, so rows, the
  // position of capture and the offsets of delivery go back together: the binlog gives the rows
  // again. Waiting for the disk at every commit would stop the event loop for nothing more.
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
  db.exec(`PRAGMA journal_size_limit = ${64 * 1024 * 1024}; PRAGMA cache_size = -16384`);
  db.exec('BEGIN IMMEDIATE');
  try {
    if (numberOf(db, 'user_version') === 0) {
      db.exec(SCHEMA);
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`);
    }
    db.exec(ADDED);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
  checkOwner(db, file);
}

function checkOwner(db: DatabaseSync, file: string): void {
  const owner = numberOf(db, 'application_id');
  const version = numberOf(db, 'user_version');
  if (owner === APPLICATION_ID && version === VERSION) return;
  // Another process is making it this moment: WAL mode is set, the schema not yet there.
  if (owner === 0 && version === 0 && isEmpty(db)) return;
  throw new UnavailableError(
    owner === APPLICATION_ID
      ? `The topics file ${file} has format ${version}, this program knows ${VERSION}: use the version that wrote it, or name another STATE_DIR.`
      : `${file} is another program's database: name another STATE_DIR.`,
  );
}

function isEmpty(db: DatabaseSync): boolean {
  return db.prepare('SELECT 1 FROM sqlite_master LIMIT 1').get() === undefined;
}

/** A PRAGMA that answers with one number. */
export function numberOf(db: DatabaseSync, pragma: string): number {
  const row = db.prepare(`PRAGMA ${pragma}`).get();
  return Number(Object.values(row ?? {})[0] ?? 0);
}

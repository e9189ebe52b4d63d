import { UnavailableError } from '../../errors.ts';

/**
 * What an SQLite error means for the one who writes:
 * `busy`: another process holds the file for a moment; `space`: no room or the disk does not
 * take it, which may pass; `broken`: the file is not usable; `other`: ours.
 */
export type SqliteTrouble = 'busy' | 'space' | 'broken' | 'other';

/** Primary result codes, https://www.sqlite.org/rescode.html (the low byte of an extended one). */
const TROUBLES: Readonly<Record<number, SqliteTrouble>> = {
  5: 'busy',
  6: 'busy',
  8: 'space', // READONLY: a file system that went read-only
  10: 'space', // IOERR
  11: 'broken', // CORRUPT
  13: 'space', // FULL
  14: 'space', // CANTOPEN: the -wal cannot be made
  26: 'broken', // NOTADB
};

export function troubleOf(error: unknown): SqliteTrouble {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === 'number' ? (TROUBLES[code & 0xff] ?? 'other') : 'other';
}

/** The error to go on with: the sentence for a broken file, anything else as it is. */
export function explained(file: string, error: unknown): Error {
  if (troubleOf(error) === 'broken') return brokenFile(file, error);
  return error instanceof Error ? error : new Error(String(error));
}

/** The sentence for a file that cannot be read. */
export function brokenFile(file: string, cause: unknown): UnavailableError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new UnavailableError(
    `The topics file ${file} cannot be read (${why}): restore it from a copy, or move it and its ` +
      '-wal and -shm files away to begin anew (START_FROM=backfill sends again who is eligible).',
    { cause },
  );
}

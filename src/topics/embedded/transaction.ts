import type { DatabaseSync } from 'node:sqlite';

/** All that `body` writes, or nothing of it. @throws what the body or SQLite throws. */
export function inTransaction(db: DatabaseSync, body: () => void): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    body();
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

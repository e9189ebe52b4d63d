import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createHash } from 'node:crypto';
import { UnavailableError } from '../../errors.ts';
import { troubleOf } from './sqlite-error.ts';

/**
 * Holds a group for this process: an exclusive transaction on a file of its own, which the
 * operating system gives up when the process dies, however it dies.
 * @throws UnavailableError when another process holds it, or the lock's file cannot be used.
 */
export function holdGroup(stateDir: string, groupId: string): Disposable {
  const name = createHash('sha256').update(groupId).digest('hex').slice(0, 16);
  const file = join(stateDir, `group-${name}.lock`);
  let opened: DatabaseSync | null = null;
  try {
    opened = new DatabaseSync(file, { timeout: 0 });
    opened.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
  } catch (error) {
    opened?.close();
    if (troubleOf(error) !== 'busy') {
      throw new UnavailableError(
        `The lock ${file} cannot be used (${(error as Error).message}): check STATE_DIR, its free space and who may write there.`,
        { cause: error },
      );
    }
    throw new UnavailableError(
      `another iterable-sync delivers from STATE_DIR ${stateDir} as the group ${groupId}: stop it first, or set another STATE_DIR`,
      { cause: error },
    );
  }
  const lock = opened;
  return {
    [Symbol.dispose]: () => lock.close(),
  };
}

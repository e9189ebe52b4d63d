import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createHash } from 'node:crypto';
import { UnavailableError } from '../../errors.ts';

/**
 * Holds a group for this process: an exclusive transaction on a file of its own, which the
 * operating system gives up when the process dies, however it dies.
 * @throws UnavailableError when another process holds it.
 */
export function holdGroup(stateDir: string, groupId: string): Disposable {
  const name = createHash('sha256').update(groupId).digest('hex').slice(0, 16);
  const lock = new DatabaseSync(join(stateDir, `group-${name}.lock`), { timeout: 0 });
  try {
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    throw new UnavailableError(
      `another iterable-sync delivers from STATE_DIR ${stateDir} as the group ${groupId}: stop it first, or set another STATE_DIR`,
      { cause: error },
    );
  }
  return {
    [Symbol.dispose]: () => lock.close(),
  };
}

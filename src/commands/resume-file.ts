import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UsageError } from '../errors.ts';

/** Where a backfill that was stopped goes on: everyone up to this user id is done. */
export class ResumeFile {
  readonly #path: string;

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'backfill.json');
  }

  /** The last user id that is done with all before it, or null where nobody is. */
  load(): string | null {
    try {
      const content = JSON.parse(readFileSync(this.#path, 'utf8')) as { last_user_id?: unknown };
      const id = String(content.last_user_id);
      return /^[1-9]\d*$/.test(id) ? id : null;
    } catch {
      return null;
    }
  }

  /**
   * For a run that begins after this user id: what an earlier one left is no longer true.
   * @throws UsageError when STATE_DIR can not be written.
   */
  begin(afterUserId: string): void {
    try {
      this.save(afterUserId);
    } catch (error) {
      throw new UsageError(
        `STATE_DIR ${dirname(this.#path)} can not be written: ${(error as Error).message}`,
      );
    }
  }

  save(lastUserId: string): void {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const temporary = `${this.#path}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify({ last_user_id: lastUserId })}\n`, { mode: 0o600 });
    renameSync(temporary, this.#path);
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }
}

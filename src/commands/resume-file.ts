import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where a backfill that was stopped goes on: everyone up to this user id is done. */
export class ResumeFile {
  readonly #path: string;

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'backfill.json');
  }

  /** The last user id that is done with all before it, or null. */
  load(): string | null {
    try {
      const content = JSON.parse(readFileSync(this.#path, 'utf8')) as { last_user_id?: unknown };
      const id = String(content.last_user_id);
      return /^\d+$/.test(id) ? id : null;
    } catch {
      return null;
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

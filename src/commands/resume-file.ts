import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UsageError } from '../errors.ts';
import { makeFolder } from '../folders.ts';

/** What a backfill that was stopped has left. */
export type Left =
  | { kind: 'nothing' }
  /** Everyone up to this user id is done; `0`: nobody is. */
  | { kind: 'place'; lastUserId: string }
  /** A place of another rule or Iterable project: whoever is before it may have to be sent. */
  | { kind: 'other rule' };

/** Where a backfill that was stopped goes on. `fingerprint`: of its rule (`ruleFingerprint`). */
export class ResumeFile {
  readonly #path: string;
  readonly #fingerprint: string;
  #saved: string | null = null;

  constructor(stateDir: string, fingerprint: string) {
    this.#path = join(stateDir, 'backfill.json');
    this.#fingerprint = fingerprint;
  }

  load(): Left {
    let content: { last_user_id?: unknown; rule?: unknown };
    try {
      content = JSON.parse(readFileSync(this.#path, 'utf8')) as typeof content;
    } catch {
      return { kind: 'nothing' };
    }
    const lastUserId = String(content.last_user_id);
    if (!/^(0|[1-9]\d*)$/.test(lastUserId)) return { kind: 'nothing' };
    if (content.rule !== this.#fingerprint) return { kind: 'other rule' };
    return { kind: 'place', lastUserId };
  }

  /**
   * For a run that begins after this user id: what an earlier one left is no longer true.
   * @throws UsageError when STATE_DIR cannot be written.
   */
  begin(afterUserId: string): void {
    const folder = dirname(this.#path);
    try {
      makeFolder(folder, 0o700);
      this.save(afterUserId);
    } catch (error) {
      throw new UsageError(`STATE_DIR ${folder} cannot be written: ${(error as Error).message}`);
    }
  }

  /** Writes nothing where this was the last that was saved. */
  save(lastUserId: string): void {
    if (lastUserId === this.#saved) return;
    const temporary = `${this.#path}.${process.pid}`;
    const content = { last_user_id: lastUserId, rule: this.#fingerprint };
    writeFileSync(temporary, `${JSON.stringify(content)}\n`, { mode: 0o600 });
    renameSync(temporary, this.#path);
    this.#saved = lastUserId;
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }
}

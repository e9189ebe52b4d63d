import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Mounting is root's alone. */
export const canMount = process.getuid?.() === 0;

/** A folder in memory that holds so much (`1m`); gone when disposed of. */
export class SmallDisk implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'small-disk-'));

  constructor(size: string) {
    this.#mount(`size=${size}`);
  }

  resize(size: string): void {
    this.#mount(`remount,size=${size}`);
  }

  #mount(options: string): void {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', this.path]);
  }

  [Symbol.dispose](): void {
    execFileSync('umount', [this.path]);
  }
}

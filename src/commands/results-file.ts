import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../errors.ts';
import { makeFolder } from '../folders.ts';
import { plainJson } from '../plain-text.ts';
import { callField, isSent } from '../deliver/delivery.ts';
import type { Delivery, Outcome } from '../deliver/sink.ts';
import { NO_TOTALS, type Totals } from './totals.ts';

const RECORDS_A_WRITE = 50;
const TAIL = '\n]}\n';

/** Totals are padded so that they can be written over in place; JSON allows the spaces. */
function head(totals: Totals): string {
  const pad = (count: number): string => String(count).padStart(12);
  return (
    `{"total_users":${pad(totals.processed)},"successful":${pad(totals.successful)},` +
    `"partial_failures":${pad(totals.partial)},"total_failures":${pad(totals.failed)},"records":[`
  );
}

function fileName(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  const time = `${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
  return `integration_results_${day}_${time}.json`;
}

function callRecord(outcome: Outcome): { success: boolean; response: unknown } {
  const { status, body } = outcome;
  if (outcome.kind === 'ok') return { success: true, response: body };
  const { code, message } = outcome;
  return { success: false, response: body ?? { status, code, msg: message } };
}

/**
 * RESULTS_DIR/integration_results_YYYYMMDD_HHMMSS.json, mode 0600, valid JSON after every flush,
 * also after one that failed. Without a record it does not stay.
 */
export class ResultsFile implements Disposable {
  readonly #directory: string;
  readonly #fd: number;
  readonly #path: string;
  /** Where TAIL begins. */
  #position: number;
  #records = 0;
  #pending: string[] = [];

  /** @throws UsageError when the folder cannot be written. */
  constructor(directory: string) {
    this.#directory = directory;
    try {
      makeFolder(directory);
      ({ fd: this.#fd, path: this.#path } = create(directory));
    } catch (error) {
      throw new UsageError(this.#explained(error));
    }
    const start = head(NO_TOTALS);
    this.#position = Buffer.byteLength(start);
    try {
      this.#write(start + TAIL, 0);
    } catch (error) {
      this[Symbol.dispose]();
      throw new UsageError(this.#explained(error));
    }
  }

  /** null while there is no record. */
  get path(): string | null {
    return this.#records === 0 ? null : this.#path;
  }

  /** Records that no flush has written yet. */
  get pending(): number {
    return this.#pending.length;
  }

  add(delivery: Delivery): void {
    const { user, calls } = delivery;
    const results = calls.map(({ name, outcome }) => [callField(name), callRecord(outcome)]);
    const record = {
      email: user.email,
      timestamp: new Date().toISOString(),
      ...Object.fromEntries(results),
      overall_success: isSent(delivery),
    };
    this.#pending.push(plainJson(record));
  }

  /**
   * Writes what is pending. Totals count also what could not be.
   * @throws Error naming the folder when it cannot be written; what is left remains pending.
   */
  flush(totals: Totals): void {
    if (this.#pending.length === 0) return;
    this.#write(head(totals), 0);
    while (this.#pending.length > 0) this.#append(this.#pending.slice(0, RECORDS_A_WRITE));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    if (this.#records === 0) rmSync(this.#path, { force: true });
  }

  #append(records: readonly string[]): void {
    const text = (this.#records === 0 ? '\n' : ',\n') + records.join(',\n');
    try {
      this.#write(text + TAIL, this.#position);
    } catch (error) {
      // A full disk took a part of it. The old end was there before, so it has its room.
      this.#write(TAIL, this.#position);
      ftruncateSync(this.#fd, this.#position + TAIL.length);
      throw new Error(this.#explained(error), { cause: error });
    }
    this.#position += Buffer.byteLength(text);
    this.#records += records.length;
    this.#pending.splice(0, records.length);
  }

  /** All of it: a disk that is nearly full takes a part and says so by the count alone. */
  #write(text: string, position: number): void {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
    }
  }

  #explained(error: unknown): string {
    return `RESULTS_DIR ${this.#directory} cannot be written: ${(error as Error).message}`;
  }
}

/** Two runs in one second must not share a file: the later one takes the next second's name. */
function create(directory: string): { fd: number; path: string } {
  for (let seconds = 0; ; seconds++) {
    const path = join(directory, fileName(new Date(Date.now() + seconds * 1000)));
    try {
      return { fd: openSync(path, 'wx', 0o600), path };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || seconds > 100) throw error;
    }
  }
}

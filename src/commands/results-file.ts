import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome } from '../iterable/calls.ts';
import { UsageError } from '../errors.ts';
import { plainJson } from '../plain-text.ts';
import type { UserDelivery } from '../delivery/deliver-user.ts';
import type { Totals } from './totals.ts';

const FLUSH_RECORDS = 200;
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
 * RESULTS_DIR/integration_results_YYYYMMDD_HHMMSS.json, mode 0600, valid JSON after every flush.
 * It is made at the first record.
 */
export class ResultsFile implements Disposable {
  readonly #directory: string;
  #fd: number | null = null;
  #path: string | null = null;
  #position = 0;
  #records = 0;
  #pending: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** null while there is no record. */
  get path(): string | null {
    return this.#path;
  }

  add(delivery: UserDelivery, totals: Totals): void {
    const { user, update, track } = delivery;
    const record = {
      email: user.email,
      timestamp: new Date().toISOString(),
      users_update: callRecord(update),
      events_track: callRecord(track),
      overall_success: update.kind === 'ok' && track.kind === 'ok',
    };
    this.#pending.push(plainJson(record));
    if (this.#pending.length >= FLUSH_RECORDS) this.flush(totals);
  }

  flush(totals: Totals): void {
    if (this.#pending.length === 0 && this.#fd === null) return;
    const fd = (this.#fd ??= this.#create());
    const start = head(totals);
    writeSync(fd, start, 0);
    if (this.#position === 0) this.#position = Buffer.byteLength(start);
    const lead = this.#records === 0 ? '\n' : ',\n';
    const text = this.#pending.length === 0 ? '' : lead + this.#pending.join(',\n');
    writeSync(fd, text + TAIL, this.#position);
    this.#position += Buffer.byteLength(text);
    this.#records += this.#pending.length;
    this.#pending = [];
  }

  [Symbol.dispose](): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #create(): number {
    try {
      mkdirSync(this.#directory, { recursive: true });
    } catch (error) {
      throw new UsageError(`RESULTS_DIR ${this.#directory}: ${(error as Error).message}`);
    }
    // Two runs in one second must not share a file: the later one takes the next second's name.
    for (let seconds = 0; ; seconds++) {
      const path = join(this.#directory, fileName(new Date(Date.now() + seconds * 1000)));
      try {
        const fd = openSync(path, 'wx', 0o600);
        this.#path = path;
        return fd;
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code !== 'EEXIST' || seconds > 100) {
          throw new UsageError(`RESULTS_DIR ${this.#directory} can not be written: ${message}`);
        }
      }
    }
  }
}

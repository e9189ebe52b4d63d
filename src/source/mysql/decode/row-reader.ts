import { CorruptEventError } from './byte-reader.ts';
import type { EventTimes } from './event-time.ts';
import type { Id } from '../../port.ts';
import {
  JSON_BYTES_MAX,
  NULL,
  copyBytes,
  readText,
  writeId,
  writeNull,
  writeText,
} from './json-bytes.ts';
import type { ValueLength } from './mysql-types.ts';
import type { FieldReading } from './row-fields.ts';
import { instantSeconds, wallSeconds } from './row-times.ts';

/** A column of ours: where it is in the table, how it is read, and what goes before it. */
export interface Field {
  column: number;
  reading: FieldReading;
  label: Buffer;
  /** An id; the others of integers are texts. */
  isId: boolean;
}

/** Beside what a field's own bytes come to: labels, ids, times, quotes. */
const FIXED_BYTES_MAX = 400;

const QUOTE = 0x22;
const CLOSING = 0x7d;

/**
 * Reads rows of one table where they lie in the log's packet: the columns of ours by their type,
 * all others by their length alone, whatever is in them. One row is at hand at a time.
 */
export class RowReader {
  /** Of each column: its own length, or how many bytes say it. */
  readonly #fixed: Int32Array;
  readonly #prefixes: Int32Array;
  readonly #fields: readonly Field[];
  readonly #id: Field;
  readonly #user: Field;
  readonly #times: EventTimes;
  /** Of each field: its label with null, and with each value of an ENUM. */
  readonly #nulls: readonly Buffer[];
  readonly #labelled: readonly (readonly Buffer[])[];
  #bytes: Buffer = Buffer.alloc(0);
  /** Of each column of the row at hand: where it begins, and its length; -1 for NULL. */
  readonly #starts: Int32Array;
  readonly #sizes: Int32Array;

  /** `fields` in the order of the message; `id` and `user` are the columns that ids are in. */
  constructor(
    lengths: readonly ValueLength[],
    fields: readonly Field[],
    ids: { id: Field; user: Field },
    times: EventTimes,
  ) {
    this.#fixed = Int32Array.from(lengths, ({ fixed }) => fixed);
    this.#prefixes = Int32Array.from(lengths, ({ prefix }) => prefix);
    this.#fields = fields;
    this.#nulls = fields.map(({ label }) => Buffer.concat([label, NULL]));
    this.#labelled = fields.map(({ label, reading }) =>
      reading.kind === 'enum' ? reading.json.map((json) => Buffer.concat([label, json])) : [],
    );
    this.#id = ids.id;
    this.#user = ids.user;
    this.#times = times;
    this.#starts = new Int32Array(lengths.length);
    this.#sizes = new Int32Array(lengths.length).fill(-1);
  }

  /** How many columns the table has. */
  get columns(): number {
    return this.#fixed.length;
  }

  /**
   * Takes the row at `at`, which has the columns `present`, and returns where it ends.
   * @throws CorruptEventError when it goes past `end`
   */
  take(bytes: Buffer, at: number, end: number, present: readonly number[]): number {
    this.#bytes = bytes;
    let place = at + ((present.length + 7) >> 3);
    if (place > end) throw new CorruptEventError('a row goes past its end');
    for (let i = 0; i < present.length; i += 1) {
      const column = present[i] ?? 0;
      if ((((bytes[at + (i >> 3)] ?? 0) >> (i & 7)) & 1) === 1) {
        this.#sizes[column] = -1;
        continue;
      }
      const prefix = this.#prefixes[column] ?? 0;
      let size = this.#fixed[column] ?? 0;
      if (prefix === 1 && place < end) {
        size = bytes[place] ?? 0;
        place += 1;
      } else if (prefix !== 0) {
        size = 0;
        if (place + prefix > end) throw new CorruptEventError('a row goes past its end');
        for (let k = prefix - 1; k >= 0; k -= 1) size = size * 256 + (bytes[place + k] ?? 0);
        place += prefix;
      }
      if (place + size > end) throw new CorruptEventError('a row goes past its end');
      this.#starts[column] = place;
      this.#sizes[column] = size;
      place += size;
    }
    return place;
  }

  id(): Id | null {
    return this.#readId(this.#id);
  }

  user(): Id | null {
    return this.#readId(this.#user);
  }

  /** Bytes that `writeView` takes at most for the row at hand. */
  viewBytesMax(): number {
    let most = FIXED_BYTES_MAX;
    for (const { column, reading } of this.#fields) {
      if (reading.kind === 'text') {
        most += Math.max(this.#sizes[column] ?? 0, reading.padTo) * JSON_BYTES_MAX;
      } else if (reading.kind === 'enum') {
        most += this.#enumJson(column, reading.bytes, reading.json).length;
      }
    }
    return most;
  }

  /** Writes the row at hand as the JSON of its message at `at`; returns where it ends. */
  writeView(target: Buffer, at: number): number {
    let place = at;
    for (let i = 0; i < this.#fields.length; i += 1) {
      const field = this.#fields[i];
      if (field === undefined) break;
      const { column, reading } = field;
      if ((this.#sizes[column] ?? -1) < 0) {
        place = copyBytes(this.#nulls[i] ?? NULL, target, place);
      } else if (reading.kind === 'enum') {
        const json = this.#enumJson(column, reading.bytes, this.#labelled[i] ?? []);
        place = copyBytes(json, target, place);
      } else {
        place = this.#writeField(field, reading, target, copyBytes(field.label, target, place));
      }
    }
    target[place] = CLOSING;
    return place + 1;
  }

  #writeField(
    { column, isId }: Field,
    reading: Exclude<FieldReading, { kind: 'enum' }>,
    target: Buffer,
    at: number,
  ): number {
    const from = this.#starts[column] ?? 0;
    switch (reading.kind) {
      case 'text': {
        const size = this.#sizes[column] ?? 0;
        if (size < reading.padTo) return this.#writePadded(column, reading, target, at);
        return writeText(this.#bytes, from, from + size, reading.text, target, at);
      }
      case 'integer': {
        const value = this.#integer(from, reading.bytes, reading.isUnsigned);
        if (isId) return writeId(value, target, at);
        return writeId(String(value), target, at);
      }
      case 'timestamp':
        return this.#writeTime(instantSeconds(this.#bytes, from), 'instant', target, at);
      case 'datetime':
        return this.#writeTime(wallSeconds(this.#bytes, from), 'wall', target, at);
    }
  }

  #writeTime(seconds: number | null, kind: 'instant' | 'wall', target: Buffer, at: number): number {
    if (seconds === null) return writeNull(target, at);
    target[at] = QUOTE;
    const end = this.#times.write(seconds, kind, target, at + 1);
    target[end] = QUOTE;
    return end + 1;
  }

  #writePadded(
    column: number,
    { text, padTo }: Extract<FieldReading, { kind: 'text' }>,
    target: Buffer,
    at: number,
  ): number {
    const padded = this.#padded(column, padTo);
    return writeText(padded, 0, padded.length, text, target, at);
  }

  #padded(column: number, padTo: number): Buffer {
    const from = this.#starts[column] ?? 0;
    const size = this.#sizes[column] ?? 0;
    const padded = Buffer.alloc(Math.max(padTo, size));
    this.#bytes.copy(padded, 0, from, from + size);
    return padded;
  }

  #enumJson(column: number, bytes: number, json: readonly Buffer[]): Buffer {
    if ((this.#sizes[column] ?? -1) < 0) return json[0] ?? Buffer.alloc(0);
    const from = this.#starts[column] ?? 0;
    const number = bytes === 1 ? this.#bytes[from] : this.#bytes.readUIntLE(from, bytes);
    const value = json[number ?? 0];
    if (value === undefined) throw new CorruptEventError('an ENUM has no such value');
    return value;
  }

  #readId({ column, reading }: Field): Id | null {
    const size = this.#sizes[column] ?? -1;
    if (size < 0) return null;
    const from = this.#starts[column] ?? 0;
    if (reading.kind === 'integer') return this.#integer(from, reading.bytes, reading.isUnsigned);
    if (reading.kind !== 'text') throw new CorruptEventError('an id is no id');
    if (size >= reading.padTo) return readText(this.#bytes, from, from + size, reading.text);
    const padded = this.#padded(column, reading.padTo);
    return readText(padded, 0, padded.length, reading.text);
  }

  /** A number where it is exact, else decimal text. */
  #integer(from: number, length: number, isUnsigned: boolean): Id {
    const bytes = this.#bytes;
    if (length < 8) {
      return isUnsigned ? bytes.readUIntLE(from, length) : bytes.readIntLE(from, length);
    }
    const high = isUnsigned ? bytes.readUInt32LE(from + 4) : bytes.readInt32LE(from + 4);
    if (high === 0) return bytes.readUInt32LE(from);
    const value = high * 2 ** 32 + bytes.readUInt32LE(from);
    if (Number.isSafeInteger(value)) return value;
    return String(isUnsigned ? bytes.readBigUInt64LE(from) : bytes.readBigInt64LE(from));
  }
}

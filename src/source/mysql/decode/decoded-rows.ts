import type { EventTimes } from './event-time.ts';
import type { ChangedRows, Id, RowOperation } from '../../port.ts';

/** The table's own spelling of the columns that matter; null where page_views lacks the column. */
export interface ColumnNames {
  id: string;
  /** Of customers, the id. */
  userId: string;
  page: string | null;
  device: string | null;
  browser: string | null;
  location: string | null;
  eventTime: string | null;
  /** Whether event_time is wall time (DATETIME) and no instant (TIMESTAMP). */
  isWallTime: boolean;
}

/** A row by column name, as the table spells it. */
type Row = Readonly<Record<string, unknown>>;

function idOf(value: unknown): Id | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'number' ? value : String(value);
}

function textJson(row: Row, column: string | null): string {
  if (column === null) return 'null';
  const value = row[column];
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === null) return 'null';
  // An ENUM's error value: MySQL shows it as the empty string.
  if (value === undefined) return '""';
  return JSON.stringify(Buffer.isBuffer(value) ? value.toString('utf8') : String(value));
}

/** Rows that zongji has read: those with a column of ours of a rarer type. */
export class DecodedRows implements ChangedRows {
  readonly #rows: readonly unknown[];
  readonly #operation: RowOperation;
  readonly #columns: ColumnNames;
  readonly #times: EventTimes;
  #count = 0;
  #before: Row = {};
  #row: Row = {};
  /** The message of the row at hand, once it was made. */
  #text: string | null = null;

  /** `rows` as zongji has them: by name, of updates `before` and `after`. */
  constructor(
    rows: readonly unknown[],
    operation: RowOperation,
    columns: ColumnNames,
    times: EventTimes,
  ) {
    this.#rows = rows;
    this.#operation = operation;
    this.#columns = columns;
    this.#times = times;
  }

  get count(): number {
    return this.#count;
  }

  next(): boolean {
    if (this.#count >= this.#rows.length) return false;
    const row = this.#rows[this.#count];
    this.#count += 1;
    this.#text = null;
    if (this.#operation === 'update') {
      const { before, after } = row as { before: Row; after: Row };
      this.#before = before;
      this.#row = after;
    } else {
      this.#row = row as Row;
    }
    return true;
  }

  id(): Id | null {
    return idOf(this.#row[this.#columns.id]);
  }

  user(): Id | null {
    return idOf(this.#row[this.#columns.userId]);
  }

  userBefore(): Id | null {
    return idOf(this.#before[this.#columns.userId]);
  }

  viewBytesMax(): number {
    this.#text = this.#json();
    return Buffer.byteLength(this.#text);
  }

  writeView(target: Buffer, at: number): number {
    return at + target.write(this.#text ?? this.#json(), at, 'utf8');
  }

  #json(): string {
    const row = this.#row;
    const { page, device, browser, location } = this.#columns;
    return (
      `{"id":${JSON.stringify(this.id())},"user_id":${JSON.stringify(this.user())},"page":${textJson(row, page)}` +
      `,"device":${textJson(row, device)},"browser":${textJson(row, browser)}` +
      `,"location":${textJson(row, location)},"event_time":${this.#eventTime()}}`
    );
  }

  #eventTime(): string {
    const { eventTime, isWallTime } = this.#columns;
    if (eventTime === null) return 'null';
    const value = this.#row[eventTime];
    if (!(value instanceof Date)) return textJson(this.#row, eventTime);
    const text = this.#times.text(value, isWallTime ? 'wall' : 'instant');
    return text === null ? 'null' : `"${text}"`;
  }
}

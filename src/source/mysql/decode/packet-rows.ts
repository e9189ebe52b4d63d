import { CorruptEventError } from './byte-reader.ts';
import type { ChangedRows, Id, RowOperation } from '../../port.ts';
import type { RowReader } from './row-reader.ts';
import type { RowsBody } from './rows-event.ts';
import { hasColumn } from './table-plan.ts';

/** The columns whose bit is set. */
function presentIn(bitmaps: Buffer, at: number, columns: number): number[] {
  return Array.from({ length: columns }, (_, column) => column).filter((column) =>
    hasColumn(bitmaps, at, column),
  );
}

/** The rows of an event, read where they lie. */
export class PacketRows implements ChangedRows {
  readonly #reader: RowReader;
  readonly #body: RowsBody;
  readonly #isUpdate: boolean;
  readonly #present: readonly number[];
  readonly #presentAfter: readonly number[];
  #at: number;
  #count = 0;
  #userBefore: Id | null = null;

  /** `all`: every column of the table, in order. @throws CorruptEventError */
  constructor(
    reader: RowReader,
    body: RowsBody,
    operation: RowOperation,
    { all, isWhole }: { all: readonly number[]; isWhole: boolean },
  ) {
    if (body.columns !== all.length) throw new CorruptEventError('it has more columns, or fewer');
    this.#reader = reader;
    this.#body = body;
    this.#isUpdate = operation === 'update';
    this.#present = isWhole ? all : presentIn(body.bitmaps, body.bitmapAt, body.columns);
    this.#presentAfter = isWhole ? all : presentIn(body.bitmaps, body.bitmapAfterAt, body.columns);
    this.#at = body.at;
  }

  get count(): number {
    return this.#count;
  }

  next(): boolean {
    const { bytes, end } = this.#body;
    if (this.#at >= end) return false;
    if (this.#isUpdate) {
      this.#at = this.#reader.take(bytes, this.#at, end, this.#present);
      this.#userBefore = this.#reader.user();
    }
    this.#at = this.#reader.take(bytes, this.#at, end, this.#presentAfter);
    this.#count += 1;
    return true;
  }

  id(): Id | null {
    return this.#reader.id();
  }

  user(): Id | null {
    return this.#reader.user();
  }

  userBefore(): Id | null {
    return this.#userBefore;
  }

  viewBytesMax(): number {
    return this.#reader.viewBytesMax();
  }

  writeView(target: Buffer, at: number): number {
    return this.#reader.writeView(target, at);
  }
}

import type { Charsets } from './charsets.ts';
import type { EventTimes } from './event-time.ts';
import { TYPE, valueLengthOf } from './mysql-types.ts';
import type { Flavour } from '../position.ts';
import { type FieldReading, fieldReadingOf } from './row-fields.ts';
import { type Field, RowReader } from './row-reader.ts';
import type { MappedColumn } from './table-map.ts';
import { FIELDS, type TablePlan } from './table-plan.ts';

export type TableReading =
  | { kind: 'reader'; reader: RowReader }
  /** A column of ours is of a rarer type. */
  | { kind: 'zongji' }
  /** What it is that can't be read, in words. */
  | { kind: 'unreadable'; detail: string };

/** Of these MariaDB has an old form with fractions, which the log does not tell from the other. */
const AMBIGUOUS: ReadonlySet<number> = new Set([TYPE.timestamp, TYPE.time, TYPE.datetime]);

const ZONGJI: TableReading = { kind: 'zongji' };

/** What can be of use in this place of a message. */
function isFit(field: (typeof FIELDS)[number], { kind }: FieldReading): boolean {
  const isTime = kind === 'timestamp' || kind === 'datetime';
  if (field === 'id' || field === 'user_id') return kind === 'integer' || kind === 'text';
  return field === 'event_time' || !isTime;
}

/** How the rows of a table are read, by what its table map says. */
export function readingOf(
  plan: TablePlan,
  columns: readonly MappedColumn[],
  { charsets, flavour, times }: { charsets: Charsets; flavour: Flavour; times: EventTimes },
): TableReading {
  if (flavour === 'mariadb' && columns.some(({ type }) => AMBIGUOUS.has(type))) return ZONGJI;
  const lengths = [];
  for (const { name, type, metadata } of columns) {
    const length = valueLengthOf(type, metadata);
    if (length === null) {
      const detail = `the column ${name} of ${plan.name} has a type that is not known (${type})`;
      return { kind: 'unreadable', detail };
    }
    lengths.push(length);
  }
  const fields: Field[] = [];
  for (const [i, column] of plan.needed.entries()) {
    const name = FIELDS[i] ?? 'id';
    const mapped = columns[column];
    const reading = mapped === undefined ? null : fieldReadingOf(mapped, charsets);
    if (reading === null) return ZONGJI;
    if (reading.kind === 'unknown collation') {
      const detail = `the server does not say which character set the column ${mapped?.name ?? name} of ${plan.name} has (collation ${reading.id})`;
      return { kind: 'unreadable', detail };
    }
    if (!isFit(name, reading)) return ZONGJI;
    const label = Buffer.from(`${i === 0 ? '{' : ','}"${name}":`, 'latin1');
    fields.push({ column, reading, label, isId: name === 'id' || name === 'user_id' });
  }
  const [id, second] = fields;
  if (id === undefined) return ZONGJI;
  const user = plan.table === 'customers' ? id : (second ?? id);
  return { kind: 'reader', reader: new RowReader(lengths, fields, { id, user }, times) };
}
